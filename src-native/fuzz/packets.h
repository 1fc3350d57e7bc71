// Packets for fuzz targets: well-formed ones made of a few numbers, so that the fuzzer need not find checksums by itself,
// and what can be said about any.
#pragma once

#include "../addon/checksum.h"
#include "fuzz.h"

namespace fuzz {

constexpr uint8_t kTcpNumber = 6;
constexpr uint8_t kUdpNumber = 17;

// Header bytes with lengths, addresses and checksum set; `transport` follows as it is. Addresses are few, so that they meet.
inline Bytes ipPacket(bool v6, uint8_t protocol, uint8_t source, uint8_t destination, const Bytes& transport) {
  Bytes p(v6 ? 40 : 20);
  if (v6) {
    p[0] = 0x60;
    pintail::storeNumber16(&p[4], static_cast<uint32_t>(transport.size()));
    p[6] = protocol;
    p[7] = 64;
    p[8] = p[24] = 0xfd;
    p[23] = source;
    p[39] = destination;
  } else {
    p[0] = 0x45;
    pintail::storeNumber16(&p[2], static_cast<uint32_t>(p.size() + transport.size()));
    p[6] = 0x40;
    p[8] = 64;
    p[9] = protocol;
    p[12] = p[16] = 100;
    p[13] = p[17] = 64;
    p[15] = source;
    p[19] = destination;
    pintail::checksumIpv4Header(p.data(), 20);
  }
  p.insert(p.end(), transport.begin(), transport.end());
  return p;
}

inline bool ipv4HeaderHolds(const uint8_t* ip, uint32_t headerLength) {
  return pintail::fold(pintail::addBytes(0, ip, headerLength)) == 0xffff;
}

inline bool transportHolds(const uint8_t* ip, bool v6, uint8_t protocol, uint32_t ipLength, uint32_t total) {
  const uint32_t length = total - ipLength;
  return pintail::fold(pintail::addBytes(pintail::pseudoHeader(ip, v6, protocol, length), ip + ipLength, length)) == 0xffff;
}

// Sets the TCP checksum of an IP packet without extension headers.
inline void checksumTcp(Bytes& packet, bool v6) {
  const uint32_t ipLength = v6 ? 40 : 20;
  const uint32_t length = static_cast<uint32_t>(packet.size()) - ipLength;
  uint8_t* tcp = &packet[ipLength];
  pintail::storeNumber16(tcp + 16, 0);
  const uint64_t sum = pintail::addBytes(pintail::pseudoHeader(packet.data(), v6, kTcpNumber, length), tcp, length);
  pintail::store16(tcp + 16, static_cast<uint16_t>(~pintail::fold(sum)));
}

}  // namespace fuzz
