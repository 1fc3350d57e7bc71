// Peers, keypairs, routes and the filter, with the lock that makes a change atomic for packets in flight. Packet threads
// hold it shared for a few packets at a time; JavaScript's thread is the only one that changes anything.
#pragma once

#include <pthread.h>

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "own-disco.h"
#include "packet-filter.h"
#include "peer.h"
#include "prefix-table.h"
#include "up.h"
#include "via.h"

namespace pintail {

// std::shared_mutex lets readers starve the writer; this one does not.
class TablesLock {
 public:
  TablesLock();
  ~TablesLock() { pthread_rwlock_destroy(&lock_); }
  TablesLock(const TablesLock&) = delete;
  TablesLock& operator=(const TablesLock&) = delete;
  void lock() { pthread_rwlock_wrlock(&lock_); }
  void unlock() { pthread_rwlock_unlock(&lock_); }
  void lock_shared() { pthread_rwlock_rdlock(&lock_); }
  void unlock_shared() { pthread_rwlock_unlock(&lock_); }

 private:
  pthread_rwlock_t lock_;
};

struct KeypairSpec {
  PeerId peer;
  uint32_t localIndex;
  uint32_t remoteIndex;
  const uint8_t* sendKey;
  const uint8_t* receiveKey;
  bool isNext;
};

class Tables {
 public:
  Tables(const AeadBackend& aead, Up& up) : aead_(aead), up_(up) {}

  TablesLock lock;

  // Changes; each takes the lock itself.
  void setPeer(PeerId id, bool jailed, std::vector<Prefix> allowed, const AddressPair& masquerade = {});
  void setOwnAddresses(const AddressPair& own);
  // nullptr: none.
  void setOwnDisco(const uint8_t* key);
  void removePeer(PeerId id);
  // False: the cipher refused the keys.
  bool addKeypair(const KeypairSpec& spec, uint64_t nowMs);
  void dropKeypair(uint32_t localIndex);
  void setDestination(PeerId id, const Destination& destination);
  void setFilter(const FilterTable& table);
  void setLocalServices(const std::vector<Prefix>& addresses);
  void expectEcho(uint16_t identifier, uint64_t nowMs);
  // Frees what packet threads rotated out.
  void reap(PeerId id);

  // Look-ups; the caller holds the lock (JavaScript's thread needs none).
  Peer* peer(PeerId id) const;
  Peer* route(bool v6, const Ip& destination) const;
  // As Peer::owns, for peers with many prefixes: costs the same however many.
  bool owns(const Peer& peer, bool v6, const Ip& source) const;
  Keypair* keypair(uint32_t localIndex) const;
  const PacketFilter& filterFor(const Peer* peer) const { return peer != nullptr && peer->jailed ? *jailedFilter_ : *filter_; }
  bool isLocalService(bool v6, const Ip& destination) const {
    return hasLocalServices_ && localServices_.lookup(v6, destination) != nullptr;
  }
  const AddressPair& ownAddresses() const { return ownAddresses_; }
  const OwnDisco& ownDisco() const { return ownDisco_; }
  // Its flows have a lock of their own.
  Via& via() { return via_; }
  bool isExpectedEcho(const PacketFields& p, uint64_t nowMs) const;
  // Raised with every change: what a packet thread remembered is then stale.
  uint64_t generation() const { return generation_; }
  const std::unordered_map<PeerId, std::unique_ptr<Peer>>& peers() const { return peers_; }

  // The first valid datagram under `next` makes it current; false when somebody else was first. Any thread.
  static bool confirm(Peer& peer, Keypair* keys);

 private:
  using Owners = std::vector<Peer*>;
  void claim(const Prefix& prefix, Peer* peer);
  void release(const Prefix& prefix, Peer* peer);
  void reapLocked(Peer& peer);

  const AeadBackend& aead_;
  Up& up_;
  uint64_t generation_ = 0;
  std::unordered_map<PeerId, std::unique_ptr<Peer>> peers_;
  std::unordered_map<uint32_t, Keypair*> keypairs_;
  PrefixTable<Owners> routes_;
  std::unique_ptr<PacketFilter> filter_ = std::make_unique<PacketFilter>();
  std::unique_ptr<PacketFilter> jailedFilter_ = std::make_unique<PacketFilter>();
  PrefixTable<bool> localServices_;
  bool hasLocalServices_ = false;
  std::unordered_map<uint16_t, uint64_t> expectedEchoes_;
  AddressPair ownAddresses_;
  OwnDisco ownDisco_;
  Via via_;
};

}  // namespace pintail
