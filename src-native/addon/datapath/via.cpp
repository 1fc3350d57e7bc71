#include "via.h"

#include <cstring>

#include "../checksum.h"

namespace pintail {

namespace {

constexpr uint32_t kV4Header = 20;
constexpr uint32_t kV6Header = 40;
constexpr uint8_t kEchoRequest4 = 8;
constexpr uint8_t kEchoReply4 = 0;
constexpr uint8_t kEchoRequest6 = 128;
constexpr uint8_t kEchoReply6 = 129;
constexpr uint32_t kDontFragment = 0x4000;

uint64_t typeWord(uint8_t type) { return asWord(static_cast<uint32_t>(type) << 8); }

// What no peer may reach through us by such an address: this network, loopback, link-local, multicast and beyond, and the
// tailnet's own range, where the rules for the IPv4 address itself hold.
bool isRefusedTarget(uint32_t ip) {
  const uint32_t first = ip >> 24;
  return first == 0 || first == 127 || first >= 224 || ip >> 16 == 0xa9fe || ip >> 22 == 0x64400000u >> 22;
}

bool isTranslated(const PacketFields& p, int echoType) {
  return p.protocol == kProtocolTcp || p.protocol == kProtocolUdp || (p.isIcmp() && p.icmpType == echoType && p.icmpCode == 0);
}

uint32_t pair(uint32_t high, uint32_t low) { return high << 16 | low; }

}  // namespace

uint32_t viaToV4(uint8_t* packet, const PacketFields& p, uint32_t source) {
  const uint32_t start = p.transportAt - kV4Header;
  const uint32_t size = p.totalBytes - p.transportAt;
  const uint8_t traffic = static_cast<uint8_t>(packet[0] << 4 | packet[1] >> 4);
  const uint8_t hopLimit = packet[7];
  const uint64_t before = addBytes(0, packet + 8, 32);
  const uint64_t icmpBefore = before + asWord(kIcmp6) + asWord(size);
  uint8_t* transport = packet + p.transportAt;
  uint8_t* ip = packet + start;
  ip[0] = 0x45;
  ip[1] = traffic;
  storeNumber16(ip + 2, kV4Header + size);
  storeNumber16(ip + 4, 0);
  storeNumber16(ip + 6, kDontFragment);
  ip[8] = hopLimit;
  ip[9] = static_cast<uint8_t>(p.protocol == kIcmp6 ? kIcmp4 : p.protocol);
  storeNumber32(ip + 12, source);
  storeNumber32(ip + 16, p.destination.w[3]);
  checksumIpv4Header(ip, kV4Header);
  const uint64_t after = addBytes(0, ip + 12, 8);
  if (p.protocol == kProtocolTcp) {
    changeChecksum(transport + 16, before, after);
  } else if (p.protocol == kProtocolUdp) {
    changeUdpChecksum(transport + 6, before, after);
  } else {
    changeChecksum(transport + 2, icmpBefore + typeWord(kEchoRequest6), typeWord(kEchoRequest4));
    transport[0] = kEchoRequest4;
  }
  return start;
}

void viaToV6(uint8_t* room, uint32_t length, const ViaEnds& ends) {
  const uint8_t* v4 = room + kViaGrowth;
  const uint32_t total = number16(v4 + 2) < length ? number16(v4 + 2) : length;
  const uint32_t size = total - kV4Header;
  const uint8_t tos = v4[1];
  const uint8_t ttl = v4[8];
  const uint8_t protocol = v4[9];
  const uint64_t before = addBytes(0, v4 + 12, 8);
  uint8_t* transport = room + kV6Header;
  room[0] = static_cast<uint8_t>(0x60 | tos >> 4);
  room[1] = static_cast<uint8_t>(tos << 4);
  storeNumber16(room + 2, 0);
  storeNumber16(room + 4, size);
  room[6] = static_cast<uint8_t>(protocol == kIcmp4 ? kIcmp6 : protocol);
  room[7] = ttl;
  for (uint32_t i = 0; i < 4; i++) {
    storeNumber32(room + 8 + i * 4, ends.destination.w[i]);
    storeNumber32(room + 24 + i * 4, ends.source.w[i]);
  }
  const uint64_t after = addBytes(0, room + 8, 32);
  if (protocol == kProtocolTcp) {
    changeChecksum(transport + 16, before, after);
  } else if (protocol == kIcmp4) {
    changeChecksum(transport + 2, typeWord(kEchoReply4), typeWord(kEchoReply6) + after + asWord(kIcmp6) + asWord(size));
    transport[0] = kEchoReply6;
  } else if (number16(transport + 6) != 0) {
    changeUdpChecksum(transport + 6, before, after);
  } else {
    // IPv6 wants a checksum; the sum runs as far as UDP says that it goes.
    const uint32_t said = number16(transport + 4);
    const uint32_t covered = said >= 8 && said <= size ? said : size;
    const uint16_t sum = static_cast<uint16_t>(~fold(addBytes(pseudoHeader(room, true, kProtocolUdp, covered), transport, covered)));
    store16(transport + 6, sum == 0 ? 0xffff : sum);
  }
}

void Via::setNets(const std::vector<Prefix>& localNets) {
  const Prefix range(true, 64, Ip{{kPrefix0, kPrefix1, 0, 0}});
  nets_ = {};
  isOn_ = false;
  for (const Prefix& prefix : localNets) {
    // The site must be named in full.
    if (!prefix.v6 || prefix.bits < 96 || !range.holds(prefix.ip)) continue;
    nets_.at(prefix) = true;
    isOn_ = true;
  }
  if (isOn_ && flows_ == nullptr) flows_ = std::make_unique<ViaFlows>();
}

bool Via::admit(const uint8_t* packet, const PacketFields& p, PeerId peer, uint32_t source, uint64_t nowMs, Drop& why) {
  // A fragment header may say that this is the whole packet.
  if (p.protocol == kProtocolFragment || (p.transportAt != kV6Header && (packet[43] & 1) != 0)) {
    why = Drop::kInViaFragment;
    return false;
  }
  if (!isTranslated(p, kEchoRequest6)) {
    why = Drop::kInViaUnsupported;
    return false;
  }
  if (isRefusedTarget(p.destination.w[3])) {
    why = Drop::kInViaTarget;
    return false;
  }
  if (source == 0) {
    why = Drop::kInViaSource;
    return false;
  }
  const bool echo = p.isIcmp();
  const ViaTuple tuple{static_cast<uint32_t>(echo ? kIcmp4 : p.protocol),
                       echo ? pair(p.icmpIdentifier, 0) : pair(p.sourcePort, p.destinationPort), source, p.destination.w[3]};
  why = Drop::kInViaConflict;
  return flows_->remember(tuple, {p.source, p.destination, peer}, p.tcpFlags, nowMs);
}

bool Via::admitPlain(const PacketFields& p, uint64_t nowMs) {
  if (p.v6 || !isTranslated(p, kEchoRequest4)) return true;
  const uint32_t ports = p.isIcmp() ? pair(p.icmpIdentifier, 0) : pair(p.sourcePort, p.destinationPort);
  return flows_->giveUp({static_cast<uint32_t>(p.protocol), ports, p.source.w[0], p.destination.w[0]}, nowMs);
}

Via::Answer Via::answers(const uint8_t* packet, const PacketFields& p, PeerId peer, uint64_t nowMs, ViaEnds& ends) {
  if (p.v6 || !isTranslated(p, kEchoReply4)) return Answer::kNone;
  const uint32_t ports = p.isIcmp() ? pair(p.icmpIdentifier, 0) : pair(p.destinationPort, p.sourcePort);
  const ViaTuple tuple{static_cast<uint32_t>(p.protocol), ports, p.destination.w[0], p.source.w[0]};
  if (!flows_->answer(tuple, peer, p.tcpFlags, nowMs, ends)) return Answer::kNone;
  if ((packet[6] & 0x20) != 0) return Answer::kFragment;
  return packet[0] == 0x45 ? Answer::kTranslate : Answer::kOptions;
}

}  // namespace pintail
