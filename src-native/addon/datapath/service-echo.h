// Echo requests of the host to the service addresses, 100.100.100.100 and fd7a:115c:a1e0::53: nobody else is there to
// answer them. [PKT-3]
#pragma once

#include <utility>

#include "../checksum.h"
#include "packet-fields.h"

namespace pintail {

inline bool isServiceEcho(const uint8_t* packet, const PacketFields& p) {
  const Ip& to = p.destination;
  const bool toService = p.v6 ? to.w[0] == 0xfd7a115c && to.w[1] == 0xa1e00000 && to.w[2] == 0 && to.w[3] == 0x53 : to.w[0] == 0x64646464;
  if (!toService || !p.isIcmp() || p.icmpType != (p.v6 ? 128 : 8) || p.icmpCode != 0) return false;
  return p.v6 ? p.transportAt == 40 : (packet[6] & 0x20) == 0;  // not of a fragment
}

// Turns the request into its reply, in place.
inline void answerEcho(uint8_t* packet, const PacketFields& p) {
  uint8_t* source = packet + (p.v6 ? 8 : 12);
  const uint32_t size = p.v6 ? 16 : 4;
  for (uint32_t i = 0; i < size; i++) std::swap(source[i], source[size + i]);
  uint8_t* icmp = packet + p.transportAt;
  const uint8_t reply = p.v6 ? 129 : 0;
  changeChecksum(icmp + 2, asWord(static_cast<uint32_t>(icmp[0]) << 8), asWord(static_cast<uint32_t>(reply) << 8));
  icmp[0] = reply;
}

}  // namespace pintail
