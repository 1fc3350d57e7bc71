// What happens to a packet: order of checks inbound and outbound is that of `src-native/twin.ts` and tsmp-filter.md §5.
// No sockets, no threads, no clock of its own: a Lane brings what one thread needs, and tests drive it by hand.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "../segments.h"
#include "counters.h"
#include "host-out.h"
#include "outbox.h"
#include "tables.h"
#include "up.h"

namespace pintail {

// The belongings of one thread.
struct Lane {
  static constexpr uint32_t kScratch = 65536 + 128;
  Lane(Wire& wire, HostOut& hostOut) : out(wire), host(hostOut), scratch(new uint8_t[kScratch]) {}

  Outbox out;
  HostOut& host;
  std::unique_ptr<uint8_t[]> scratch;
  uint64_t nowMs = 0;

  // Where the last packet went; good while nothing changes.
  struct {
    uint64_t generation = ~uint64_t{0};
    bool v6 = false;
    Ip destination;
    Peer* peer = nullptr;
  } route;
  // Whom the last datagram was from, within one received bunch.
  Peer* heard = nullptr;
};

// kNode: a node of a Tailscale network. kPlain: a plain WireGuard device – no filter, no TSMP, every protocol; sources must
// be routed back to the peer, and a peer's direct address follows its last authentic datagram.
enum class Role : uint8_t { kNode, kPlain };

class Engine {
 public:
  Engine(Tables& tables, Up& up, Counters& counters, uint32_t mtuBytes, Role role = Role::kNode)
      : tables_(tables), up_(up), counters_(counters), isPlain_(role == Role::kPlain), mtuBytes_(mtuBytes) {}

  // Of the tunnel; any thread.
  void setMtu(uint32_t mtuBytes) { mtuBytes_.store(mtuBytes, std::memory_order_relaxed); }

  // The caller holds the tables' lock, shared, for each of these.

  // A packet of the host, opened as `segments`; `packet` is the whole of it, before cutting.
  void fromHost(Lane& lane, Segments& segments, const uint8_t* packet, uint32_t length);
  // A datagram; changed in place.
  void fromNetwork(Lane& lane, uint8_t* bytes, uint32_t size, const Address& from);
  void fromRelay(Lane& lane, uint8_t* bytes, uint32_t size);
  // Seals an IP packet (empty = keepalive) of our own.
  void sendPacket(Lane& lane, PeerId peer, const uint8_t* packet, uint32_t length);
  void toHost(Lane& lane, uint8_t* packet, uint32_t length);

 private:
  Peer* route(Lane& lane, const PacketFields& p);
  void fromHostPlain(Lane& lane, Segments& segments, const PacketFields& p);
  // `fill(target)` writes the `length` bytes of the packet; called exactly once, also when it goes nowhere.
  template <typename Fill>
  void seal(Lane& lane, Peer& peer, const Destination& to, uint32_t length, Fill fill);
  void openAny(Lane& lane, uint8_t* datagram, uint32_t size, const Address* from);
  void open(Lane& lane, Keypair& keys, uint8_t* datagram, uint32_t size, const Address* from);
  void fromPeer(Lane& lane, Peer& peer, uint8_t* padded, uint32_t length);
  // A packet of our own, also when it goes on behalf of a peer's.
  void sealOwn(Lane& lane, Peer& peer, const uint8_t* packet, uint32_t length);
  // What must be changed in packets on their way to a peer; almost always nothing.
  struct Changes {
    bool masquerade = false;
    bool isSyn = false;
    bool isVia = false;
    ViaEnds via;
    bool any() const { return masquerade || isSyn || isVia; }
  };
  // False: dropped.
  bool findChanges(Lane& lane, const Peer& peer, const uint8_t* packet, const PacketFields& p, uint32_t count, Changes& changes);
  void makeChanges(const Peer& peer, const Changes& changes, uint8_t* packet, uint32_t length) const;
  void answerServiceEcho(Lane& lane, Segments& segments, const PacketFields& p);
  bool carriesOwnDisco(const Segments& segments, const uint8_t* packet, const PacketFields& p) const;
  // Where there are 4via6 networks of ours.
  void toHostOrVia(Lane& lane, const Peer& peer, uint8_t* packet, const PacketFields& p);
  void reject(Lane& lane, Peer& peer, const PacketFields& p, bool shieldsUp);
  uint32_t paddedLength(uint32_t length) const;
  uint32_t mtu() const { return mtuBytes_.load(std::memory_order_relaxed); }

  Tables& tables_;
  Up& up_;
  Counters& counters_;
  const bool isPlain_;
  std::atomic<uint32_t> mtuBytes_;
};

}  // namespace pintail
