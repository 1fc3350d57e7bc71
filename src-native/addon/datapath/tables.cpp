#include "tables.h"

#include <algorithm>
#include <mutex>

namespace pintail {

namespace {
constexpr uint64_t kEchoExpectedMs = 10'000;

// A node has one address of 100.64.0.0/10; what else it may use is behind it.
uint32_t ownV4(const std::vector<Prefix>& allowed) {
  for (const Prefix& prefix : allowed) {
    if (!prefix.v6 && prefix.bits == 32 && prefix.ip.w[0] >> 22 == 0x64400000u >> 22) return prefix.ip.w[0];
  }
  return 0;
}
}

TablesLock::TablesLock() {
  pthread_rwlockattr_t attributes;
  pthread_rwlockattr_init(&attributes);
  pthread_rwlockattr_setkind_np(&attributes, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
  pthread_rwlock_init(&lock_, &attributes);
  pthread_rwlockattr_destroy(&attributes);
}

Peer* Tables::peer(PeerId id) const {
  const auto found = peers_.find(id);
  return found == peers_.end() ? nullptr : found->second.get();
}

Peer* Tables::route(bool v6, const Ip& destination) const {
  const Owners* owners = routes_.lookup(v6, destination);
  return owners == nullptr ? nullptr : owners->front();
}

bool Tables::owns(const Peer& peer, bool v6, const Ip& source) const {
  return routes_.some(v6, source, [&peer](const Owners& owners) { return std::find(owners.begin(), owners.end(), &peer) != owners.end(); });
}

Keypair* Tables::keypair(uint32_t localIndex) const {
  const auto found = keypairs_.find(localIndex);
  return found == keypairs_.end() || found->second->dead.load(std::memory_order_acquire) ? nullptr : found->second;
}

void Tables::setPeer(PeerId id, bool jailed, std::vector<Prefix> allowed, const AddressPair& masquerade) {
  std::lock_guard<TablesLock> guard(lock);
  generation_++;
  std::unique_ptr<Peer>& entry = peers_[id];
  if (entry == nullptr) {
    entry = std::make_unique<Peer>();
    entry->id = id;
  }
  Peer* peer = entry.get();
  peer->jailed = jailed;
  peer->hasMasquerade = !masquerade.isEmpty();
  peer->masquerade = masquerade;
  peer->v4 = ownV4(allowed);
  for (const Prefix& prefix : peer->allowed) release(prefix, peer);
  for (const Prefix& prefix : allowed) claim(prefix, peer);
  peer->allowed = std::move(allowed);
}

void Tables::setOwnAddresses(const AddressPair& own) {
  std::lock_guard<TablesLock> guard(lock);
  ownAddresses_ = own;
}

void Tables::setOwnDisco(const uint8_t* key) {
  std::lock_guard<TablesLock> guard(lock);
  ownDisco_.set(key);
}

// Two peers may claim one prefix while a change is under way: the latest wins.
void Tables::claim(const Prefix& prefix, Peer* peer) {
  Owners& owners = routes_.at(prefix);
  if (!owners.empty() && owners.front() == peer) return;
  owners.erase(std::remove(owners.begin(), owners.end(), peer), owners.end());
  owners.insert(owners.begin(), peer);
}

void Tables::release(const Prefix& prefix, Peer* peer) {
  Owners* owners = routes_.get(prefix);
  if (owners == nullptr) return;
  owners->erase(std::remove(owners->begin(), owners->end(), peer), owners->end());
  if (owners->empty()) routes_.remove(prefix);
}

void Tables::removePeer(PeerId id) {
  std::lock_guard<TablesLock> guard(lock);
  generation_++;
  const auto found = peers_.find(id);
  if (found == peers_.end()) return;
  Peer* peer = found->second.get();
  for (const Prefix& prefix : peer->allowed) release(prefix, peer);
  for (const auto& keys : peer->keypairs) {
    const auto entry = keypairs_.find(keys->localIndex);
    if (entry != keypairs_.end() && entry->second == keys.get()) keypairs_.erase(entry);
  }
  up_.forget(*peer);
  peers_.erase(found);
}

bool Tables::addKeypair(const KeypairSpec& spec, uint64_t nowMs) {
  Peer* owner = peer(spec.peer);
  if (owner == nullptr) return true;
  auto keys = std::make_unique<Keypair>();
  keys->peer = owner;
  keys->localIndex = spec.localIndex;
  keys->remoteIndex = spec.remoteIndex;
  keys->createdAtMs = nowMs;
  keys->aead = aead_.create(spec.sendKey, spec.receiveKey);
  if (keys->aead == nullptr) return false;

  std::lock_guard<TablesLock> guard(lock);
  generation_++;
  Keypair* fresh = keys.get();
  const auto retire = [](Keypair* old) {
    if (old != nullptr) old->dead.store(true);
  };
  retire(owner->previous.load());
  if (spec.isNext) {
    retire(owner->next.exchange(fresh));
    owner->previous.store(nullptr);
  } else {
    Keypair* next = owner->next.exchange(nullptr);
    Keypair* current = owner->current.exchange(fresh);
    if (next != nullptr) retire(current);
    owner->previous.store(next != nullptr ? next : current);
  }
  owner->keypairs.push_back(std::move(keys));
  reapLocked(*owner);
  keypairs_[spec.localIndex] = fresh;
  return true;
}

void Tables::dropKeypair(uint32_t localIndex) {
  std::lock_guard<TablesLock> guard(lock);
  generation_++;
  const auto found = keypairs_.find(localIndex);
  if (found == keypairs_.end()) return;
  Keypair* keys = found->second;
  Peer& peer = *keys->peer;
  for (std::atomic<Keypair*>* slot : {&peer.previous, &peer.current, &peer.next}) {
    if (slot->load() == keys) slot->store(nullptr);
  }
  keys->dead.store(true);
  reapLocked(peer);
}

void Tables::reap(PeerId id) {
  Peer* found = peer(id);
  if (found == nullptr) return;
  std::lock_guard<TablesLock> guard(lock);
  generation_++;
  reapLocked(*found);
}

void Tables::reapLocked(Peer& peer) {
  std::erase_if(peer.keypairs, [this](const std::unique_ptr<Keypair>& keys) {
    if (!keys->dead.load()) return false;
    const auto entry = keypairs_.find(keys->localIndex);
    if (entry != keypairs_.end() && entry->second == keys.get()) keypairs_.erase(entry);
    return true;
  });
}

bool Tables::confirm(Peer& peer, Keypair* keys) {
  Keypair* expected = keys;
  if (!peer.next.compare_exchange_strong(expected, nullptr)) return false;
  Keypair* gone = peer.previous.exchange(peer.current.load());
  peer.current.store(keys);
  if (gone != nullptr) gone->dead.store(true);
  return true;
}

void Tables::setDestination(PeerId id, const Destination& destination) {
  std::lock_guard<TablesLock> guard(lock);
  Peer* found = peer(id);
  if (found != nullptr) found->destination = destination;
}

void Tables::setFilter(const FilterTable& table) {
  // Built before the lock is taken: a large table takes a while.
  auto normal = std::make_unique<PacketFilter>(&table, filter_.get());
  auto jailed = std::make_unique<PacketFilter>(&table, jailedFilter_.get(), true);
  std::lock_guard<TablesLock> guard(lock);
  generation_++;
  via_.setNets(table.localNets);
  filter_.swap(normal);
  jailedFilter_.swap(jailed);
}

void Tables::setLocalServices(const std::vector<Prefix>& addresses) {
  std::lock_guard<TablesLock> guard(lock);
  generation_++;
  localServices_ = {};
  for (const Prefix& prefix : addresses) localServices_.at(prefix) = true;
  hasLocalServices_ = !addresses.empty();
}

void Tables::expectEcho(uint16_t identifier, uint64_t nowMs) {
  std::lock_guard<TablesLock> guard(lock);
  std::erase_if(expectedEchoes_, [nowMs](const auto& entry) { return entry.second < nowMs; });
  expectedEchoes_[identifier] = nowMs + kEchoExpectedMs;
}

bool Tables::isExpectedEcho(const PacketFields& p, uint64_t nowMs) const {
  if (expectedEchoes_.empty() || !p.isIcmp() || p.icmpType != (p.v6 ? 129 : 0)) return false;
  const auto found = expectedEchoes_.find(p.icmpIdentifier);
  return found != expectedEchoes_.end() && nowMs <= found->second;
}

}  // namespace pintail
