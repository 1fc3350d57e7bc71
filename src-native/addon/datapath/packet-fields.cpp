#include "packet-fields.h"

#include "../checksum.h"

namespace pintail {

namespace {
// A later fragment below this offset (in units of 8 bytes) could overwrite the transport header that was judged.
constexpr uint32_t kMinFragmentOffset = 10;
constexpr int kV6Fragment = 44;
}  // namespace

bool PacketFields::read(const uint8_t* packet, uint32_t length) {
  protocol = kProtocolUnknown;
  totalBytes = 0;
  sourcePort = 0;
  destinationPort = 0;
  tcpFlags = 0;
  icmpType = -1;
  bytes = length;
  if (length < 20) return false;
  const int version = packet[0] >> 4;
  if (version == 4) return readV4(packet, length);
  if (version == 6 && length >= 40) return readV6(packet, length);
  return false;
}

bool PacketFields::readV4(const uint8_t* p, uint32_t length) {
  const uint32_t headerBytes = (p[0] & 0x0fu) * 4;
  const uint32_t total = number16(p + 2);
  if (headerBytes < 20 || total < headerBytes || total > length) return false;
  v6 = false;
  totalBytes = total;
  source = {{number32(p + 12), 0, 0, 0}};
  destination = {{number32(p + 16), 0, 0, 0}};
  transportAt = headerBytes;
  const uint32_t fragment = number16(p + 6);
  readTransport(p, p[9], fragment & 0x1fff, (fragment & 0x2000) != 0);
  return true;
}

bool PacketFields::readV6(const uint8_t* p, uint32_t length) {
  const uint32_t total = 40 + number16(p + 4);
  if (total > length) return false;
  v6 = true;
  totalBytes = total;
  for (uint32_t i = 0; i < 4; i++) {
    source.w[i] = number32(p + 8 + i * 4);
    destination.w[i] = number32(p + 24 + i * 4);
  }
  transportAt = 40;
  if (p[6] != kV6Fragment) {
    readTransport(p, p[6], 0, false);
  } else if (total >= 48) {
    transportAt = 48;
    readTransport(p, p[40], number16(p + 42) >> 3, false);
  }
  return true;
}

void PacketFields::readTransport(const uint8_t* p, int number, uint32_t fragmentOffset, bool moreFragments) {
  if (fragmentOffset > 0) {
    // TSMP is never cut; what says so would pass by all that keeps it from the host. [FLT-10.8]
    protocol = fragmentOffset < kMinFragmentOffset || number == kTsmp ? kProtocolUnknown : kProtocolFragment;
    return;
  }
  const uint8_t* at = p + transportAt;
  const uint32_t available = totalBytes - transportAt;
  if (number == 0 || number == 255 || available < minimum(number)) return;
  if (number == kTsmp && moreFragments) return;
  protocol = number;
  if (number == kProtocolTcp || number == kProtocolUdp || number == kSctp) {
    sourcePort = static_cast<uint16_t>(number16(at));
    destinationPort = static_cast<uint16_t>(number16(at + 2));
    if (number == kProtocolTcp) tcpFlags = at[13];
  } else if (isIcmp() && available >= 8) {
    icmpType = at[0];
    icmpCode = at[1];
    icmpIdentifier = static_cast<uint16_t>(number16(at + 4));
  }
}

uint32_t PacketFields::minimum(int number) const {
  switch (number) {
    case kIcmp4:
      return v6 ? 0 : 4;
    case kIcmp6:
      return v6 ? 4 : 0;
    case kIgmp:
      return v6 ? 0 : 8;
    case kProtocolTcp:
      return 20;
    case kProtocolUdp:
      return 8;
    case kSctp:
      return 12;
    case kTsmp:
      return 7;
    default:
      return 0;
  }
}

}  // namespace pintail
