// Routes and keypairs of the tables against the plain statement: the longest prefix wins, and among equals the latest claim.
//
// Input: steps of u8 kind · u8 peer · prefixes or indices.
#include <algorithm>
#include <map>

#include "../addon/datapath/tables.h"
#include "fuzz.h"

using namespace pintail;

namespace {

class NoCipher final : public Aead {
 public:
  bool seal(const uint8_t*, uint8_t*, size_t) override { return true; }
  bool open(const uint8_t*, uint8_t*, size_t) override { return true; }
};
const AeadBackend kBackend{"none", [](const uint8_t*, const uint8_t*) -> std::unique_ptr<Aead> { return std::make_unique<NoCipher>(); },
                           nullptr, nullptr};

Ip addressOf(uint8_t n) {
  Ip ip;
  ip.w[0] = 0x64400000u | (n & 15);
  ip.w[3] = n >> 4;
  return ip;
}

Prefix prefixOf(fuzz::Input& in) {
  constexpr uint8_t kBits[] = {32, 31, 30, 24, 10, 0, 28, 32};
  const uint8_t kind = in.u8();
  const bool v6 = (kind & 1) != 0;
  return {v6, v6 && (kind & 16) != 0 ? 128u : kBits[kind >> 1 & 7], addressOf(in.u8())};
}

bool equal(const Prefix& a, const Prefix& b) { return a.v6 == b.v6 && a.bits == b.bits && a.ip == b.ip; }

struct Claim {
  Prefix prefix;
  PeerId peer;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Input in(data, size);
  Counters counters;
  Up up(counters);
  Tables tables(kBackend, up);
  std::vector<Claim> claims;  // newest first
  std::map<PeerId, std::vector<Prefix>> owned;
  const uint8_t keys[2 * kKeySize] = {};
  const auto release = [&](PeerId peer) {
    claims.erase(std::remove_if(claims.begin(), claims.end(), [peer](const Claim& c) { return c.peer == peer; }), claims.end());
  };
  for (uint32_t steps = 0; !in.isEmpty() && steps < 200; steps++) {
    const uint8_t kind = in.u8();
    const PeerId peer = in.u8() & 7;
    switch (kind % 6) {
      case 0: {
        std::vector<Prefix> allowed(in.below(5));
        for (Prefix& prefix : allowed) prefix = prefixOf(in);
        // All released, then claimed one by one.
        release(peer);
        owned[peer] = allowed;
        for (const Prefix& prefix : allowed) {
          const bool isOwn = std::any_of(claims.begin(), claims.end(), [&](const Claim& c) { return c.peer == peer && equal(c.prefix, prefix); });
          if (!isOwn) claims.insert(claims.begin(), {prefix, peer});
        }
        tables.setPeer(peer, false, allowed);
        break;
      }
      case 1:
        release(peer);
        owned.erase(peer);
        tables.removePeer(peer);
        break;
      case 2: {
        const uint32_t local = in.u8() & 15;
        CHECK(tables.addKeypair({peer, local, 1, keys, keys + kKeySize, (kind & 64) != 0}, 0));
        if (owned.count(peer) != 0) CHECK(tables.keypair(local) != nullptr && tables.keypair(local)->peer->id == peer);
        break;
      }
      case 3: {
        const uint32_t local = in.u8() & 15;
        Keypair* pair = tables.keypair(local);
        if (pair != nullptr) {
          Tables::confirm(*pair->peer, pair);
          CHECK(pair->peer->next.load() != pair);
        }
        break;
      }
      case 4: {
        const uint32_t local = in.u8() & 15;
        tables.dropKeypair(local);
        CHECK(tables.keypair(local) == nullptr);
        break;
      }
      default:
        tables.reap(peer);
    }
    for (const auto& [id, prefixes] : owned) {
      const Peer* entry = tables.peer(id);
      CHECK(entry != nullptr && entry->id == id && entry->allowed.size() == prefixes.size());
      // The slots name keypairs that live.
      for (const auto* slot : {&entry->previous, &entry->current, &entry->next}) {
        const Keypair* pair = slot->load();
        if (pair == nullptr) continue;
        CHECK(pair->peer == entry && !pair->dead.load());
      }
      CHECK(entry->keypairs.size() <= 4);
    }
    CHECK(tables.peers().size() == owned.size());
    for (uint32_t n = 0; n < 4; n++) {
      const bool v6 = (kind + n & 1) != 0;
      const Ip ip = addressOf(static_cast<uint8_t>(kind * 7 + n * 31));
      const Claim* best = nullptr;
      for (const Claim& c : claims) {
        if (c.prefix.v6 != v6 || !c.prefix.holds(ip)) continue;
        if (best == nullptr || c.prefix.bits > best->prefix.bits) best = &c;
      }
      const Peer* found = tables.route(v6, ip);
      for (const auto& [id, prefixes] : owned) CHECK(tables.owns(*tables.peer(id), v6, ip) == tables.peer(id)->owns(v6, ip));
      CHECK(best == nullptr ? found == nullptr : found != nullptr && found->id == best->peer);
    }
  }
  return 0;
}
