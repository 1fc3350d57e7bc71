#include "segments.h"

#include <cstring>

#include "checksum.h"

namespace pintail {

bool Segments::open(const OffloadHeader& header, uint8_t* packet, uint32_t length, uint32_t room) {
  packet_ = packet;
  length_ = length;
  next_ = 0;
  count_ = 0;
  protocol_ = 0;
  switch (header.gsoType & ~kGsoEcnBit) {
    case kGsoNone:
      return length <= room && openPlain(header);
    case kGsoTcpV4:
      return length > 0 && packet[0] >> 4 == 4 && openSuper(header, kTcp, room);
    case kGsoTcpV6:
      return length > 0 && packet[0] >> 4 == 6 && openSuper(header, kTcp, room);
    case kGsoUdp:
      return length > 0 && openSuper(header, kUdp, room);
    default:
      return false;
  }
}

// The kernel leaves the transport checksum for the device to finish: the field holds the sum of the pseudo header.
bool Segments::openPlain(const OffloadHeader& header) {
  if (length_ == 0) return false;
  if ((header.flags & kNeedsChecksum) != 0) {
    const uint32_t start = header.checksumStart;
    const uint32_t field = start + header.checksumOffset;
    if (start >= length_ || field + 2 > length_) return false;
    uint16_t value = static_cast<uint16_t>(~fold(addBytes(0, packet_ + start, length_ - start)));
    if (value == 0) value = 0xffff;  // zero means "none" for UDP, and the same number for everybody else
    store16(packet_ + field, value);
  }
  count_ = 1;
  return true;
}

// The header length that the kernel states is wrong for forwarded packets, so it is taken from the packet.
bool Segments::openSuper(const OffloadHeader& header, uint8_t protocol, uint32_t room) {
  const uint32_t ipLength = header.checksumStart;
  const uint32_t least = protocol == kTcp ? 20 : kUdpHeader;
  if (header.segmentSize == 0 || ipLength + least > length_) return false;
  const bool v6 = packet_[0] >> 4 == 6;
  if (v6 ? ipLength < 40 : packet_[0] >> 4 != 4 || ipLength < 20 || ipLength != (packet_[0] & 0x0fu) * 4) return false;
  const uint32_t transport = protocol == kTcp ? static_cast<uint32_t>(packet_[ipLength + 12] >> 4) * 4 : kUdpHeader;
  if (transport < least || ipLength + transport >= length_) return false;
  headerLength_ = ipLength + transport;
  if (headerLength_ + header.segmentSize > room) return false;
  ipLength_ = ipLength;
  segmentSize_ = header.segmentSize;
  count_ = (length_ - headerLength_ + segmentSize_ - 1) / segmentSize_;
  protocol_ = protocol;
  v6_ = v6;
  return true;
}

uint32_t Segments::nextLength() const {
  if (protocol_ == 0) return length_;
  const uint32_t offset = headerLength_ + next_ * segmentSize_;
  return headerLength_ + (offset + segmentSize_ < length_ ? segmentSize_ : length_ - offset);
}

Segments::Payload Segments::payload(uint32_t index) const {
  const uint32_t offset = headerLength_ + index * segmentSize_;
  return {packet_ + offset, offset + segmentSize_ < length_ ? segmentSize_ : length_ - offset};
}

uint32_t Segments::take(uint8_t* slot) {
  const uint32_t index = next_++;
  if (protocol_ == 0) {
    memcpy(slot, packet_, length_);
    return length_;
  }
  const uint32_t offset = headerLength_ + index * segmentSize_;
  const uint32_t payload = offset + segmentSize_ < length_ ? segmentSize_ : length_ - offset;
  const uint32_t total = headerLength_ + payload;
  memcpy(slot, packet_, headerLength_);
  memcpy(slot + headerLength_, packet_ + offset, payload);

  if (v6_) {
    storeNumber16(slot + 4, total - 40);
  } else {
    storeNumber16(slot + 2, total);
    storeNumber16(slot + 4, number16(slot + 4) + index);
    checksumIpv4Header(slot, ipLength_);
  }
  if (protocol_ == kTcp) {
    finishTcp(slot, total, index);
  } else {
    finishUdp(slot, total);
  }
  return total;
}

void Segments::finishTcp(uint8_t* slot, uint32_t total, uint32_t index) {
  uint8_t* tcp = slot + ipLength_;
  storeNumber32(tcp + 4, number32(tcp + 4) + index * segmentSize_);
  if (next_ < count_) tcp[13] = static_cast<uint8_t>(tcp[13] & ~(kFin | kPsh));
  if (index > 0) tcp[13] = static_cast<uint8_t>(tcp[13] & ~kCwr);
  finishChecksum(slot, total, kTcpChecksumOffset);
}

void Segments::finishUdp(uint8_t* slot, uint32_t total) {
  storeNumber16(slot + ipLength_ + 4, total - ipLength_);
  finishChecksum(slot, total, kUdpChecksumOffset);
}

void Segments::finishChecksum(uint8_t* slot, uint32_t total, uint32_t offset) {
  uint8_t* transport = slot + ipLength_;
  const uint32_t size = total - ipLength_;
  storeNumber16(transport + offset, 0);
  uint16_t value = static_cast<uint16_t>(~fold(addBytes(pseudoHeader(slot, v6_, protocol_, size), transport, size)));
  if (value == 0) value = 0xffff;  // zero means "none" for UDP, and the same number for TCP
  store16(transport + offset, value);
}

}  // namespace pintail
