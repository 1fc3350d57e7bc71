#include "coalesce.h"

#include <cerrno>
#include <cstring>

#include "checksum.h"

namespace pintail {

bool Coalescer::parse(uint8_t* packet, uint32_t length, Tcp& tcp) {
  if (length < 40) return false;
  const bool v6 = (packet[0] >> 4) == 6;
  uint32_t ipLength = 0;
  if (v6) {
    if (length < 60 || packet[6] != kTcp || number16(packet + 4) + 40 != length) return false;
    ipLength = 40;
  } else {
    // No options, not a fragment, exactly as long as it says.
    if (packet[0] != 0x45 || packet[9] != kTcp || (number16(packet + 6) & 0x3fff) != 0 || number16(packet + 2) != length) return false;
    ipLength = 20;
  }
  const uint8_t* header = packet + ipLength;
  const uint32_t tcpLength = static_cast<uint32_t>(header[12] >> 4) * 4;
  if (tcpLength < 20 || ipLength + tcpLength >= length) return false;  // also: an acknowledgement without data
  const uint8_t flags = header[13];
  if (flags != kAck && flags != (kAck | kPsh)) return false;
  tcp = {packet, length, ipLength, ipLength + tcpLength, number32(header + 4), v6, (flags & kPsh) != 0};
  return true;
}

bool Coalescer::Tcp::sameFlow(const Tcp& other) const {
  if (v6 != other.v6) return false;
  const uint32_t at = v6 ? 8 : 12;
  const uint32_t size = v6 ? 32 : 8;
  return memcmp(packet + at, other.packet + at, size) == 0 && memcmp(packet + ipLength, other.packet + other.ipLength, 4) == 0;
}

bool Coalescer::Tcp::sameHeaders(const Tcp& other) const {
  if (headerLength != other.headerLength) return false;
  const uint8_t* a = packet;
  const uint8_t* b = other.packet;
  // Traffic class and hop limit, or TOS, DF and TTL; the flow label differs only between flows.
  const bool ip = v6 ? memcmp(a, b, 4) == 0 && a[7] == b[7] : a[1] == b[1] && (a[6] & 0xe0) == (b[6] & 0xe0) && a[8] == b[8];
  if (!ip) return false;
  const uint8_t* x = packet + ipLength;
  const uint8_t* y = other.packet + ipLength;
  const uint32_t options = headerLength - ipLength - 20;
  // Acknowledgement, reserved bits, window, urgent pointer, options.
  return memcmp(x + 8, y + 8, 4) == 0 && x[12] == y[12] && memcmp(x + 14, y + 14, 2) == 0 && memcmp(x + 18, y + 18, 2) == 0 &&
         memcmp(x + 20, y + 20, options) == 0;
}

// A joined packet is marked as checked, and its IPv4 header made anew: a wrong checksum must not be laundered.
bool Coalescer::Tcp::checksumHolds() const {
  if (!v6 && fold(addBytes(0, packet, ipLength)) != 0xffff) return false;
  const uint32_t tcpLength = length - ipLength;
  return fold(addBytes(pseudoHeader(packet, v6, kTcp, tcpLength), packet + ipLength, tcpLength)) == 0xffff;
}

void Coalescer::add(uint8_t* packet, uint32_t length) {
  Tcp tcp{};
  const bool joins = parse(packet, length, tcp);
  if (!joins) {
    // It may belong to a flow of which data waits (a FIN, a bare acknowledgement): data first.
    if (length >= 40) flush();
    writePlain(packet, length);
    return;
  }
  for (Group& group : groups_) {
    if (!group.used || !group.first.sameFlow(tcp)) continue;
    if (append(group, tcp)) return;
    flushGroup(group);
    start(group, tcp);
    return;
  }
  for (Group& group : groups_) {
    if (group.used) continue;
    start(group, tcp);
    return;
  }
  Group& victim = groups_[oldest_++ % kGroups];
  flushGroup(victim);
  start(victim, tcp);
}

void Coalescer::start(Group& group, const Tcp& tcp) {
  group.first = tcp;
  group.used = true;
  group.closed = tcp.push;
  group.push = tcp.push;
  group.firstChecked = false;
  group.nextSequence = tcp.sequence + tcp.payload();
  group.total = tcp.length;
  group.parts = 0;
}

bool Coalescer::append(Group& group, const Tcp& tcp) {
  const uint32_t payload = tcp.payload();
  if (group.closed || group.parts == kMaxParts || tcp.sequence != group.nextSequence || payload > group.first.payload() ||
      group.total + payload > kMaxSuperPacket || !group.first.sameHeaders(tcp)) {
    return false;
  }
  if (!group.firstChecked) {
    if (!group.first.checksumHolds()) return false;
    group.firstChecked = true;
  }
  if (!tcp.checksumHolds()) return false;
  group.payloads[group.parts++] = {tcp.packet + tcp.headerLength, payload};
  group.nextSequence += payload;
  group.total += payload;
  group.push = tcp.push;
  group.closed = tcp.push || payload < group.first.payload();  // a short segment can only be the last
  return true;
}

void Coalescer::flush() {
  for (Group& group : groups_) flushGroup(group);
}

void Coalescer::flushGroup(Group& group) {
  if (!group.used) return;
  group.used = false;
  const Tcp& first = group.first;
  if (group.parts == 0) {
    writePlain(first.packet, first.length);
    return;
  }
  const uint32_t segment = first.payload();
  if (first.v6) {
    storeNumber16(first.packet + 4, group.total - 40);
  } else {
    storeNumber16(first.packet + 2, group.total);
    checksumIpv4Header(first.packet, first.ipLength);
  }
  uint8_t* tcp = first.packet + first.ipLength;
  if (group.push) tcp[13] = static_cast<uint8_t>(tcp[13] | kPsh);
  store16(tcp + kTcpChecksumOffset, fold(pseudoHeader(first.packet, first.v6, kTcp, group.total - first.ipLength)));
  OffloadHeader header;
  header.flags = kNeedsChecksum;
  header.gsoType = first.v6 ? kGsoTcpV6 : kGsoTcpV4;
  header.headerLength = static_cast<uint16_t>(first.headerLength);
  header.segmentSize = static_cast<uint16_t>(segment);
  header.checksumStart = static_cast<uint16_t>(first.ipLength);
  header.checksumOffset = kTcpChecksumOffset;
  iovec parts[kMaxParts + 2];
  parts[1] = {first.packet, first.length};
  memcpy(parts + 2, group.payloads, group.parts * sizeof(iovec));
  writeAll(header, parts, group.parts + 2);
}

void Coalescer::writePlain(uint8_t* packet, uint32_t length) {
  iovec parts[2];
  parts[1] = {packet, length};
  writeAll(OffloadHeader{}, parts, 2);
}

// parts[0] is for the header.
void Coalescer::writeAll(const OffloadHeader& header, iovec* parts, uint32_t count) {
  OffloadHeader copy = header;
  parts[0] = {&copy, sizeof copy};
  ssize_t written = 0;
  do {
    written = writev(fd_, parts, static_cast<int>(count));
  } while (written < 0 && errno == EINTR);
  if (written < 0) {
    error_ = errno;
    failures_++;
  }
}

}  // namespace pintail
