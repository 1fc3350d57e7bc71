// Packets from peers on their way into a TUN with offloads. Whatever is joined must, cut again, be what came in: each flow
// in its order, byte for byte, except for what a joined packet cannot carry (IPv4 identification of the later ones).
//
// Input: steps. u8 kind: a raw packet (u16 length, bytes), or a UDP or TCP packet of one of four flows (u8 flow · u8 flags and
// faults · u16 payload); sequence numbers follow each other unless a fault says otherwise. Linked with --wrap=writev.
#include "../addon/coalesce.h"

#include <sys/uio.h>

#include <cerrno>
#include <map>

#include "../addon/segments.h"
#include "packets.h"

using namespace pintail;

namespace {

std::vector<fuzz::Bytes> written;
int refusing = 0;      // so many writes fail
int interrupting = 0;  // so many are interrupted first
uint32_t refused = 0;

}  // namespace

extern "C" ssize_t __wrap_writev(int, const iovec* parts, int count) {
  if (interrupting > 0) {
    interrupting--;
    errno = EINTR;
    return -1;
  }
  fuzz::Bytes all;
  for (int i = 0; i < count; i++) {
    const uint8_t* bytes = static_cast<const uint8_t*>(parts[i].iov_base);
    all.insert(all.end(), bytes, bytes + parts[i].iov_len);
  }
  if (refusing > 0) {
    refusing--;
    refused++;
    errno = EIO;
    return -1;
  }
  written.push_back(all);
  return static_cast<ssize_t>(all.size());
}

namespace {

// kTcp or kUdp of a plain packet; 0 for everything else.
uint8_t transportOf(const fuzz::Bytes& p) {
  if (p.size() < 28) return 0;
  const bool v6 = p[0] >> 4 == 6;
  if (v6 ? p.size() < 48 || number16(&p[4]) + 40 != p.size()
         : p[0] != 0x45 || (number16(&p[6]) & 0x3fff) != 0 || number16(&p[2]) != p.size()) {
    return 0;
  }
  const uint8_t protocol = p[v6 ? 6 : 9];
  if (protocol == kTcp) return p.size() >= (v6 ? 60u : 40u) ? kTcp : 0;
  return protocol == kUdp ? kUdp : 0;
}

uint32_t checksumOffset(uint8_t protocol) { return protocol == kTcp ? kTcpChecksumOffset : kUdpChecksumOffset; }

// Packets of one key must keep their order. All that is neither plain TCP nor plain UDP has one key of its own.
fuzz::Bytes flowOf(const fuzz::Bytes& p) {
  const uint8_t protocol = transportOf(p);
  if (protocol == 0) return {};
  const bool v6 = p[0] >> 4 == 6;
  fuzz::Bytes key(p.begin() + (v6 ? 8 : 12), p.begin() + (v6 ? 44 : 24));
  key.push_back(protocol);
  return key;
}

// A joined packet as the kernel cuts it.
void cut(const fuzz::Bytes& bytes, std::vector<fuzz::Bytes>& out) {
  CHECK(bytes.size() > sizeof(OffloadHeader));
  OffloadHeader header;
  memcpy(&header, bytes.data(), sizeof header);
  fuzz::Exact packet(bytes.data() + sizeof header, bytes.size() - sizeof header);
  const uint32_t length = static_cast<uint32_t>(packet.size());
  if (header.gsoType == kGsoNone) {
    CHECK(header.flags == 0);
    out.emplace_back(packet.data(), packet.data() + length);
    return;
  }
  const bool v6 = packet.data()[0] >> 4 == 6;
  const uint8_t protocol = header.gsoType == kGsoUdp ? kUdp : kTcp;
  CHECK(header.gsoType == kGsoUdp || header.gsoType == (v6 ? kGsoTcpV6 : kGsoTcpV4));
  CHECK(header.flags == kNeedsChecksum && header.checksumOffset == checksumOffset(protocol));
  CHECK(length <= kMaxSuperPacket && (v6 ? length - 40 == number16(packet.data() + 4) : length == number16(packet.data() + 2)));
  CHECK(header.headerLength < length && header.segmentSize > 0 && length - header.headerLength > header.segmentSize);
  if (!v6) CHECK(fuzz::ipv4HeaderHolds(packet.data(), 20));
  // The sum of the pseudo header must be in its place: the kernel goes on from there.
  uint16_t partial = 0;
  memcpy(&partial, packet.data() + header.checksumStart + header.checksumOffset, 2);
  CHECK(partial == fold(pseudoHeader(packet.data(), v6, protocol, length - header.checksumStart)));
  Segments segments;
  CHECK(segments.open(header, packet.data(), length, kMaxSuperPacket));
  CHECK(segments.count() > 1 && segments.count() <= 64);
  while (!segments.isEmpty()) {
    fuzz::Exact piece(segments.nextLength());
    segments.take(piece.data());
    out.emplace_back(piece.data(), piece.data() + piece.size());
  }
}

// Equal but for what joining changes; `checked`: the packet went through the cutter, so its sums were made anew.
bool equivalent(const fuzz::Bytes& in, const fuzz::Bytes& out) {
  if (in == out) return true;
  const uint8_t protocol = transportOf(in);
  if (in.size() != out.size() || protocol == 0 || transportOf(out) != protocol) return false;
  const bool v6 = in[0] >> 4 == 6;
  const uint32_t ipLength = v6 ? 40 : 20;
  const uint32_t length = static_cast<uint32_t>(in.size());
  for (const fuzz::Bytes* p : {&in, &out}) {
    if (!v6 && !fuzz::ipv4HeaderHolds(p->data(), 20)) return false;
    if (!fuzz::transportHolds(p->data(), v6, protocol, ipLength, length)) return false;
  }
  fuzz::Bytes a = in;
  fuzz::Bytes b = out;
  for (fuzz::Bytes* p : {&a, &b}) {
    if (!v6) storeNumber16(&(*p)[4], 0), storeNumber16(&(*p)[10], 0);
    storeNumber16(&(*p)[ipLength + checksumOffset(protocol)], 0);
  }
  return a == b;
}

fuzz::Bytes tcpPacket(fuzz::Input& in, uint32_t (&next)[4]) {
  const uint8_t flow = in.u8() & 3;
  const uint8_t faults = in.u8();
  const uint16_t wanted = in.u16();
  const bool v6 = (flow & 1) != 0;
  // Mostly full segments, so that runs come about.
  const uint32_t payload = (wanted & 0x8000) != 0 ? 1000 : wanted % 1400;
  const uint32_t options = (faults & 1) != 0 ? 12 : 0;
  fuzz::Bytes tcp(20 + options + payload);
  storeNumber16(&tcp[0], 40000u + flow);
  storeNumber16(&tcp[2], 443);
  storeNumber32(&tcp[4], next[flow] + ((faults & 2) != 0 ? in.u8() : 0));
  next[flow] += payload;
  storeNumber32(&tcp[8], 7);
  tcp[12] = static_cast<uint8_t>((tcp.size() - payload) / 4 << 4);
  tcp[13] = (faults & 4) != 0 ? in.u8() : kAck;
  storeNumber16(&tcp[14], 512);
  for (uint32_t i = 0; i < payload; i++) tcp[20 + options + i] = static_cast<uint8_t>(i * 3 + wanted);
  fuzz::Bytes packet = fuzz::ipPacket(v6, kTcp, 1, static_cast<uint8_t>(2 + (flow >> 1)), tcp);
  // Any one byte of the headers changed, before or after the sums.
  const uint32_t at = (faults & 24) != 0 ? in.u8() % (v6 ? 60 : 40) : 0;
  if ((faults & 8) != 0) packet[at] = static_cast<uint8_t>(packet[at] ^ in.u8());
  if (!v6 && (faults & 32) == 0 && packet[0] == 0x45) checksumIpv4Header(packet.data(), 20);
  if (packet[0] >> 4 == (v6 ? 6 : 4)) fuzz::checksumTcp(packet, v6);
  if ((faults & 16) != 0) packet[at] = static_cast<uint8_t>(packet[at] ^ in.u8());
  return packet;
}

fuzz::Bytes udpPacket(fuzz::Input& in) {
  const uint8_t flow = in.u8() & 3;
  const uint8_t faults = in.u8();
  const uint16_t wanted = in.u16();
  const bool v6 = (flow & 1) != 0;
  const uint32_t payload = (wanted & 0x8000) != 0 ? 1200 : wanted % 1400;
  fuzz::Bytes udp(kUdpHeader + payload);
  storeNumber16(&udp[0], 50000u + flow);
  storeNumber16(&udp[2], 53);
  storeNumber16(&udp[4], static_cast<uint32_t>(udp.size()) + ((faults & 1) != 0 ? in.u8() : 0));
  for (uint32_t i = 0; i < payload; i++) udp[kUdpHeader + i] = static_cast<uint8_t>(i * 5 + wanted);
  fuzz::Bytes packet = fuzz::ipPacket(v6, kUdp, 1, static_cast<uint8_t>(2 + (flow >> 1)), udp);
  const uint32_t ipLength = v6 ? 40 : 20;
  const uint32_t length = static_cast<uint32_t>(udp.size());
  if ((faults & 2) == 0) {
    const uint16_t sum = static_cast<uint16_t>(~fold(addBytes(pseudoHeader(packet.data(), v6, kUdp, length), &packet[ipLength], length)));
    store16(&packet[ipLength + kUdpChecksumOffset], sum == 0 ? 0xffff : sum);
  }
  if ((faults & 4) != 0) {
    const uint32_t at = in.u8() % (ipLength + kUdpHeader);
    packet[at] = static_cast<uint8_t>(packet[at] ^ in.u8());
  }
  return packet;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Input in(data, size);
  written.clear();
  refusing = interrupting = 0;
  refused = 0;
  uint32_t next[4] = {1000, 0xfffff000, 5, 0};
  std::vector<fuzz::Bytes> given;
  std::vector<std::unique_ptr<fuzz::Exact>> alive;  // until the flush
  Coalescer coalescer(-1, true);
  uint32_t lost = 0;
  for (uint32_t steps = 0; !in.isEmpty() && steps < 400; steps++) {
    const uint8_t kind = in.u8();
    if (kind == 255) {
      coalescer.flush();
      alive.clear();
    } else if (kind == 254) {
      refusing = in.u8() & 3;
    } else if (kind == 253) {
      interrupting = in.u8() & 3;
    } else {
      fuzz::Bytes packet = kind < 48 ? in.bytes(in.u16() % 2048) : kind < 112 ? udpPacket(in) : tcpPacket(in, next);
      if (packet.empty()) continue;
      given.push_back(packet);
      alive.push_back(std::make_unique<fuzz::Exact>(packet));
      coalescer.add(alive.back()->data(), static_cast<uint32_t>(packet.size()));
    }
    lost += coalescer.takeLost();
  }
  coalescer.flush();
  lost += coalescer.takeLost();
  CHECK(lost >= refused && (lost > 0) == (refused > 0));
  CHECK((coalescer.error() != 0) == (refused > 0));
  if (refused > 0) return 0;  // what was lost is lost; the rest is checked without failures

  std::vector<fuzz::Bytes> taken;
  for (const fuzz::Bytes& bytes : written) cut(bytes, taken);
  CHECK(taken.size() == given.size());
  std::map<fuzz::Bytes, std::vector<const fuzz::Bytes*>> before;
  std::map<fuzz::Bytes, std::vector<const fuzz::Bytes*>> after;
  for (const fuzz::Bytes& p : given) before[flowOf(p)].push_back(&p);
  for (const fuzz::Bytes& p : taken) after[flowOf(p)].push_back(&p);
  CHECK(before.size() == after.size());
  for (const auto& [flow, packets] : before) {
    const auto& others = after[flow];
    CHECK(packets.size() == others.size());
    for (size_t i = 0; i < packets.size(); i++) CHECK(equivalent(*packets[i], *others[i]));
  }
  return 0;
}
