#include "masquerade.h"

#include "../checksum.h"

namespace pintail {

namespace {

constexpr int kDccp = 33;
constexpr int kUdpLite = 136;

// Transports whose checksum covers the addresses. A later fragment has none, nor has what we do not understand.
void changeTransportChecksum(uint8_t* packet, const PacketFields& p, uint64_t removed, uint64_t added) {
  uint8_t* transport = packet + p.transportAt;
  const uint32_t size = p.totalBytes - p.transportAt;
  switch (p.protocol) {
    case kProtocolTcp:
      changeChecksum(transport + 16, removed, added);
      break;
    case kProtocolUdp:
      changeUdpChecksum(transport + 6, removed, added);
      break;
    case kDccp:
    case kUdpLite:
      if (size >= 8) changeChecksum(transport + 6, removed, added);
      break;
    case kIcmp6:
      if (p.v6) changeChecksum(transport + 2, removed, added);
      break;
    default:
      break;
  }
}

void replaceAddress(uint8_t* packet, const PacketFields& p, uint32_t at, const Ip& to) {
  const uint32_t words = p.v6 ? 4 : 1;
  const uint64_t removed = addBytes(0, packet + at, words * 4);
  for (uint32_t i = 0; i < words; i++) storeNumber32(packet + at + i * 4, to.w[i]);
  const uint64_t added = addBytes(0, packet + at, words * 4);
  if (!p.v6) changeChecksum(packet + 10, removed, added);
  changeTransportChecksum(packet, p, removed, added);
}

}  // namespace

void masqueradeIn(uint8_t* packet, PacketFields& p, const AddressPair& seen, const AddressPair& own) {
  const Ip* from = seen.of(p.v6);
  const Ip* to = own.of(p.v6);
  if (from == nullptr || to == nullptr || !(p.destination == *from)) return;
  replaceAddress(packet, p, p.v6 ? 24 : 16, *to);
  p.destination = *to;
}

void masqueradeOut(uint8_t* packet, PacketFields& p, const AddressPair& seen, const AddressPair& own) {
  const Ip* from = own.of(p.v6);
  const Ip* to = seen.of(p.v6);
  if (from == nullptr || to == nullptr || !(p.source == *from)) return;
  replaceAddress(packet, p, p.v6 ? 8 : 12, *to);
  p.source = *to;
}

}  // namespace pintail
