// What the kernel puts before each packet of a TUN device with IFF_VNET_HDR: struct virtio_net_hdr, host byte order.
//
//   0 flags u8 · 1 gso type u8 · 2 header length u16 · 4 segment size u16 · 6 checksum start u16 · 8 checksum offset u16
#pragma once

#include <cstdint>

namespace pintail {

struct OffloadHeader {
  uint8_t flags = 0;
  uint8_t gsoType = 0;
  uint16_t headerLength = 0;
  uint16_t segmentSize = 0;
  uint16_t checksumStart = 0;
  uint16_t checksumOffset = 0;
};
static_assert(sizeof(OffloadHeader) == 10);

constexpr uint8_t kNeedsChecksum = 1;
constexpr uint8_t kGsoNone = 0;
constexpr uint8_t kGsoTcpV4 = 1;
constexpr uint8_t kGsoTcpV6 = 4;
constexpr uint8_t kGsoUdp = 5;  // VIRTIO_NET_HDR_GSO_UDP_L4, Linux ≥ 6.2
constexpr uint8_t kGsoEcnBit = 0x80;
constexpr uint32_t kMaxSuperPacket = 65535;

constexpr uint8_t kTcp = 6;
constexpr uint8_t kUdp = 17;
constexpr uint32_t kTcpChecksumOffset = 16;
constexpr uint32_t kUdpChecksumOffset = 6;
constexpr uint32_t kUdpHeader = 8;
constexpr uint8_t kFin = 0x01;
constexpr uint8_t kPsh = 0x08;
constexpr uint8_t kAck = 0x10;
constexpr uint8_t kCwr = 0x80;

}  // namespace pintail
