// 4via6, the router's side: many sites may use the same IPv4 network; each is reached by IPv6 addresses that hold its
// number. Packets of peers to such an address become IPv4 for the host's own stack, which routes and masquerades them;
// answers become IPv6 again. TCP, UDP and echo, unfragmented. [PKT-5; RFC 7915]
//
//   fd7a:115c:a1e0:0b1a : site u32 : IPv4 address u32
#pragma once

#include <cstdint>
#include <vector>

#include "counters.h"
#include "packet-fields.h"
#include "prefix-table.h"
#include "via-flows.h"

namespace pintail {

// Between the two header lengths, without options and extension headers.
constexpr uint32_t kViaGrowth = 20;

// The packet, changed in place, ends where it ended. Pure; `p` describes it before.
// IPv6 → IPv4; answers where the packet now starts.
uint32_t viaToV4(uint8_t* packet, const PacketFields& p, uint32_t source);
// IPv4 of `length` bytes at `room` + kViaGrowth → IPv6 at `room`.
void viaToV6(uint8_t* room, uint32_t length, const ViaEnds& ends);

class Via {
 public:
  // Nothing else of this class may be used while it is off.
  bool isOn() const { return isOn_; }
  // Those of our networks that are such prefixes.
  void setNets(const std::vector<Prefix>& localNets);

  // Whether an inbound packet is to be translated.
  bool serves(const PacketFields& p) const {
    return p.v6 && p.destination.w[0] == kPrefix0 && p.destination.w[1] == kPrefix1 && nets_.lookup(true, p.destination) != nullptr;
  }
  // Remembers the flow; false: drop it, `why`. `source`: the peer's IPv4 address, 0 = none.
  bool admit(const uint8_t* packet, const PacketFields& p, PeerId peer, uint32_t source, uint64_t nowMs, Drop& why);
  // An inbound IPv4 packet must not be taken for part of a translated flow, nor its answers: false = drop it.
  bool admitPlain(const PacketFields& p, uint64_t nowMs);

  enum class Answer : uint8_t { kNone, kTranslate, kFragment, kOptions };
  // Whether an outbound packet answers a translated flow of this peer.
  Answer answers(const uint8_t* packet, const PacketFields& p, PeerId peer, uint64_t nowMs, ViaEnds& ends);

 private:
  static constexpr uint32_t kPrefix0 = 0xfd7a115c;
  static constexpr uint32_t kPrefix1 = 0xa1e00b1a;

  bool isOn_ = false;
  PrefixTable<bool> nets_;
  std::unique_ptr<ViaFlows> flows_;
};

}  // namespace pintail
