#include "coalesce.h"

#include <cerrno>
#include <cstring>

#include "checksum.h"

namespace pintail {

bool Coalescer::parse(uint8_t* packet, uint32_t length, Candidate& found) const {
  if (!joins_ || length < 28) return false;
  const bool v6 = packet[0] >> 4 == 6;
  if (v6) {
    if (length < 48 || number16(packet + 4) + 40 != length) return false;
  } else if (packet[0] != 0x45 || (number16(packet + 6) & 0x3fff) != 0 || number16(packet + 2) != length) {
    return false;  // options, a fragment, or not exactly as long as it says
  }
  const uint32_t ipLength = v6 ? 40 : 20;
  found = {packet, length, ipLength, 0, 0, packet[v6 ? 6 : 9], v6, false};
  if (found.protocol == kTcp) return parseTcp(found);
  return joinsUdp_ && found.protocol == kUdp && parseUdp(found);
}

bool Coalescer::parseTcp(Candidate& found) {
  const uint8_t* tcp = found.packet + found.ipLength;
  if (found.ipLength + 20 > found.length) return false;
  const uint32_t tcpLength = static_cast<uint32_t>(tcp[12] >> 4) * 4;
  found.headerLength = found.ipLength + tcpLength;
  if (tcpLength < 20 || found.headerLength >= found.length) return false;  // also: an acknowledgement without data
  const uint8_t flags = tcp[13];
  if (flags != kAck && flags != (kAck | kPsh)) return false;
  found.sequence = number32(tcp + 4);
  found.push = (flags & kPsh) != 0;
  return true;
}

bool Coalescer::parseUdp(Candidate& found) {
  const uint8_t* udp = found.packet + found.ipLength;
  found.headerLength = found.ipLength + kUdpHeader;
  if (found.headerLength >= found.length || number16(udp + 4) != found.length - found.ipLength) return false;
  return number16(udp + kUdpChecksumOffset) != 0;  // without a checksum there is nothing to hand on
}

bool Coalescer::Candidate::sameFlow(const Candidate& other) const {
  if (v6 != other.v6 || protocol != other.protocol) return false;
  const uint32_t at = v6 ? 8 : 12;
  const uint32_t size = v6 ? 32 : 8;
  return memcmp(packet + at, other.packet + at, size) == 0 && memcmp(packet + ipLength, other.packet + other.ipLength, 4) == 0;
}

bool Coalescer::Candidate::sameHeaders(const Candidate& other) const {
  if (headerLength != other.headerLength) return false;
  const uint8_t* a = packet;
  const uint8_t* b = other.packet;
  // Traffic class and hop limit, or TOS, DF and TTL; the flow label differs only between flows.
  const bool ip = v6 ? memcmp(a, b, 4) == 0 && a[7] == b[7] : a[1] == b[1] && (a[6] & 0xe0) == (b[6] & 0xe0) && a[8] == b[8];
  if (!ip || protocol == kUdp) return ip;
  const uint8_t* x = packet + ipLength;
  const uint8_t* y = other.packet + ipLength;
  const uint32_t options = headerLength - ipLength - 20;
  // Acknowledgement, reserved bits, window, urgent pointer, options.
  return memcmp(x + 8, y + 8, 4) == 0 && x[12] == y[12] && memcmp(x + 14, y + 14, 2) == 0 && memcmp(x + 18, y + 18, 2) == 0 &&
         memcmp(x + 20, y + 20, options) == 0;
}

// A joined packet is marked as checked, and its IPv4 header made anew: a wrong checksum must not be laundered.
bool Coalescer::Candidate::checksumHolds() const {
  const uint32_t size = length - ipLength;
  if (fold(addBytes(pseudoHeader(packet, v6, protocol, size), packet + ipLength, size)) != 0xffff) return false;
  return v6 || fold(addBytes(0, packet, ipLength)) == 0xffff;
}

void Coalescer::add(uint8_t* packet, uint32_t length) {
  Candidate found{};
  if (!parse(packet, length, found)) {
    flush();  // it may belong to a flow of which data waits (a FIN, a bare acknowledgement): data first
    writePlain(packet, length);
    return;
  }
  for (Group& group : groups_) {
    if (!group.used || !group.first.sameFlow(found)) continue;
    if (append(group, found)) return;
    flushGroup(group);
    start(group, found);
    return;
  }
  for (Group& group : groups_) {
    if (group.used) continue;
    start(group, found);
    return;
  }
  Group& victim = groups_[oldest_++ % kGroups];
  flushGroup(victim);
  start(victim, found);
}

void Coalescer::start(Group& group, const Candidate& first) {
  group.first = first;
  group.used = true;
  group.closed = first.push;
  group.push = first.push;
  group.firstChecked = false;
  group.nextSequence = first.sequence + first.payload();
  group.total = first.length;
  group.parts = 0;
}

bool Coalescer::append(Group& group, const Candidate& next) {
  const uint32_t payload = next.payload();
  if (group.closed || group.parts == kMaxParts || payload > group.first.payload() || group.total + payload > kMaxSuperPacket ||
      (next.protocol == kTcp && next.sequence != group.nextSequence) || !group.first.sameHeaders(next)) {
    return false;
  }
  if (!group.firstChecked) {
    if (!group.first.checksumHolds()) return false;
    group.firstChecked = true;
  }
  if (!next.checksumHolds()) return false;
  group.payloads[group.parts++] = {next.packet + next.headerLength, payload};
  group.nextSequence += payload;
  group.total += payload;
  group.push = next.push;
  group.closed = next.push || payload < group.first.payload();  // a short segment can only be the last
  return true;
}

void Coalescer::flush() {
  for (Group& group : groups_) flushGroup(group);
}

void Coalescer::flushGroup(Group& group) {
  if (!group.used) return;
  group.used = false;
  const Candidate& first = group.first;
  if (group.parts == 0) {
    writePlain(first.packet, first.length);
    return;
  }
  const uint32_t transportLength = group.total - first.ipLength;
  if (first.v6) {
    storeNumber16(first.packet + 4, group.total - 40);
  } else {
    storeNumber16(first.packet + 2, group.total);
    checksumIpv4Header(first.packet, first.ipLength);
  }
  const bool isTcp = first.protocol == kTcp;
  const uint32_t checksumOffset = isTcp ? kTcpChecksumOffset : kUdpChecksumOffset;
  uint8_t* transport = first.packet + first.ipLength;
  if (isTcp && group.push) transport[13] = static_cast<uint8_t>(transport[13] | kPsh);
  if (!isTcp) storeNumber16(transport + 4, transportLength);
  store16(transport + checksumOffset, fold(pseudoHeader(first.packet, first.v6, first.protocol, transportLength)));
  OffloadHeader header;
  header.flags = kNeedsChecksum;
  header.gsoType = !isTcp ? kGsoUdp : first.v6 ? kGsoTcpV6 : kGsoTcpV4;
  header.headerLength = static_cast<uint16_t>(first.headerLength);
  header.segmentSize = static_cast<uint16_t>(first.payload());
  header.checksumStart = static_cast<uint16_t>(first.ipLength);
  header.checksumOffset = static_cast<uint16_t>(checksumOffset);
  iovec parts[kMaxParts + 2];
  parts[1] = {first.packet, first.length};
  memcpy(parts + 2, group.payloads, group.parts * sizeof(iovec));
  if (writeAll(header, parts, group.parts + 2)) return;
  lost_ += group.parts + 1;
  if (error_ == EINVAL) joins_ = false;
}

void Coalescer::writePlain(uint8_t* packet, uint32_t length) {
  iovec parts[2];
  parts[1] = {packet, length};
  if (!writeAll(OffloadHeader{}, parts, 2)) lost_++;
}

// parts[0] is for the header.
bool Coalescer::writeAll(const OffloadHeader& header, iovec* parts, uint32_t count) {
  OffloadHeader copy = header;
  parts[0] = {&copy, sizeof copy};
  ssize_t written = 0;
  do {
    written = writev(fd_, parts, static_cast<int>(count));
  } while (written < 0 && errno == EINTR);
  if (written < 0) error_ = errno;
  return written >= 0;
}

}  // namespace pintail
