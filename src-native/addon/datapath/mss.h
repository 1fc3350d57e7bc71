// Lowers the MSS option of a TCP SYN or SYN-ACK to what the tunnel takes, so that full segments never need to be cut, nor
// lost where ICMP is. Never raises it; options that make no sense are left alone. [PKT-4]
#pragma once

#include "../checksum.h"
#include "packet-fields.h"

namespace pintail {

constexpr uint8_t kSynFlag = 0x02;

// IP and TCP header without options.
inline uint32_t mssFor(bool v6, uint32_t mtuBytes) {
  const uint32_t headers = v6 ? 60 : 40;
  return mtuBytes > headers ? mtuBytes - headers : 0;
}

inline void lowerMss(uint8_t* packet, const PacketFields& p, uint32_t mtuBytes) {
  constexpr uint8_t kEnd = 0;
  constexpr uint8_t kNothing = 1;
  constexpr uint8_t kMss = 2;
  uint8_t* tcp = packet + p.transportAt;
  const uint32_t header = static_cast<uint32_t>(tcp[12] >> 4) * 4;
  if (header > p.totalBytes - p.transportAt) return;
  const uint32_t most = mssFor(p.v6, mtuBytes);
  for (uint32_t at = 20; at < header;) {
    if (tcp[at] == kEnd) return;
    if (tcp[at] == kNothing) {
      at++;
      continue;
    }
    if (at + 2 > header || tcp[at + 1] < 2 || at + tcp[at + 1] > header) return;
    if (tcp[at] == kMss && tcp[at + 1] == 4 && number16(tcp + at + 2) > most) {
      // At an odd place its bytes belong to two words: the sums are those of swapped numbers.
      const bool odd = (at & 1) != 0;
      const uint64_t before = odd ? number16(tcp + at + 2) : asWord(number16(tcp + at + 2));
      changeChecksum(tcp + 16, before, odd ? most : asWord(most));
      storeNumber16(tcp + at + 2, most);
    }
    at += tcp[at + 1];
  }
}

}  // namespace pintail
