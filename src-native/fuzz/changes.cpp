// What is changed in packets on their way: masquerade addresses, MSS, translation of 4via6, echo to service addresses.
//
// What must hold: nothing outside the packet is read or written; a right checksum stays right and a wrong one wrong; there
// and back again is the packet that it was; no flow is ever translated to the ends of another.
//
// Input: u8 which · what that needs.
#include "../addon/datapath/masquerade.h"
#include "../addon/datapath/mss.h"
#include "../addon/datapath/service-echo.h"
#include "../addon/datapath/via.h"

#include <map>

#include "packets.h"

using namespace pintail;

namespace {

constexpr uint64_t kShortestLifeMs = 60'000;

// Whether the checksums of a packet hold, as far as it has such that we know.
bool holds(const uint8_t* packet, const PacketFields& p) {
  if (!p.v6 && !fuzz::ipv4HeaderHolds(packet, p.transportAt)) return false;
  const uint32_t size = p.totalBytes - p.transportAt;
  const uint8_t* transport = packet + p.transportAt;
  switch (p.protocol) {
    case kProtocolUdp:
      if (number16(transport + 6) == 0) return true;
      [[fallthrough]];
    case kProtocolTcp:
      return fuzz::transportHolds(packet, p.v6, static_cast<uint8_t>(p.protocol), p.transportAt, p.totalBytes);
    case kIcmp6:
      return !p.v6 || fuzz::transportHolds(packet, true, kIcmp6, p.transportAt, p.totalBytes);
    case kIcmp4:
      return p.v6 || fold(addBytes(0, transport, size)) == 0xffff;
    default:
      return true;
  }
}

fuzz::Bytes packetOf(fuzz::Input& in) {
  const uint8_t kind = in.u8();
  if ((kind & 7) == 7) return in.bytes(in.u16() % 300);
  constexpr uint8_t kProtocols[] = {6, 17, 1, 58, 6, 132, 33, 44};
  const uint8_t protocol = kProtocols[kind >> 4 & 7];
  const bool v6 = (kind & 8) != 0;
  fuzz::Bytes transport = in.bytes(in.u8());
  if (transport.size() < 20) transport.resize(20);
  if (protocol == 6 && (kind & 4) == 0) transport[12] = static_cast<uint8_t>(std::min<size_t>(15, transport.size() / 4) << 4);
  if ((protocol == 1 || protocol == 58) && (kind & 4) == 0) {
    transport[0] = protocol == 1 ? 8 : 128;  // echo request
    transport[1] = 0;
  }
  fuzz::Bytes p = fuzz::ipPacket(v6, protocol, in.u8() & 3, in.u8() & 3, transport);
  const uint32_t at = v6 ? 40 : 20;
  const uint32_t length = static_cast<uint32_t>(transport.size());
  const uint32_t field = protocol == 6 ? 16u : protocol == 17 ? 6u : 2u;
  if ((kind & 3) != 3 && (protocol == 6 || protocol == 17 || protocol == 58 || protocol == 1)) {
    storeNumber16(&p[at + field], 0);
    const uint64_t pseudo = protocol == 1 ? 0 : pseudoHeader(p.data(), v6, protocol, length);
    const uint16_t sum = static_cast<uint16_t>(~fold(addBytes(pseudo, &p[at], length)));
    store16(&p[at + field], sum == 0 ? 0xffff : sum);
  }
  return p;
}

Ip ipOf(fuzz::Input& in, bool v6) {
  Ip ip{{v6 ? 0xfd000000u : 0x64400000u, 0, 0, 0}};
  ip.w[v6 ? 3 : 0] |= in.u8() & 3;
  if (v6) ip.w[1] = in.u32();
  return ip;
}

AddressPair pairOf(fuzz::Input& in) {
  AddressPair pair;
  const uint8_t flags = in.u8();
  pair.hasV4 = (flags & 1) != 0;
  pair.hasV6 = (flags & 2) != 0;
  pair.v4 = ipOf(in, false);
  pair.v6 = ipOf(in, true);
  return pair;
}

void masquerades(fuzz::Input& in) {
  const fuzz::Bytes original = packetOf(in);
  fuzz::Exact packet(original);
  PacketFields p;
  if (!p.read(packet.data(), static_cast<uint32_t>(packet.size()))) return;
  const bool before = holds(packet.data(), p);
  const AddressPair seen = pairOf(in);
  const AddressPair own = pairOf(in);
  const Ip destination = p.destination;
  const Ip source = p.source;
  masqueradeIn(packet.data(), p, seen, own);
  const bool hit = seen.of(p.v6) != nullptr && own.of(p.v6) != nullptr && destination == *seen.of(p.v6);
  CHECK(hit ? p.destination == *own.of(p.v6) : p.destination == destination);
  CHECK(p.source == source);
  PacketFields again;
  CHECK(again.read(packet.data(), static_cast<uint32_t>(packet.size())));
  CHECK(again.protocol == p.protocol && again.source == p.source && again.destination == p.destination);
  CHECK(holds(packet.data(), p) == before);
  if (!hit) CHECK(memcmp(packet.data(), original.data(), original.size()) == 0);
  masqueradeOut(packet.data(), p, seen, own);
  CHECK(holds(packet.data(), p) == before);
}

void clamps(fuzz::Input& in) {
  const fuzz::Bytes original = packetOf(in);
  fuzz::Exact packet(original);
  PacketFields p;
  if (!p.read(packet.data(), static_cast<uint32_t>(packet.size())) || p.protocol != kProtocolTcp) return;
  const bool before = holds(packet.data(), p);
  const uint32_t mtu = in.u16();
  lowerMss(packet.data(), p, mtu);
  CHECK(holds(packet.data(), p) == before);
  fuzz::Exact twice(packet.data(), packet.size());
  lowerMss(twice.data(), p, mtu);
  CHECK(memcmp(twice.data(), packet.data(), packet.size()) == 0);
  lowerMss(twice.data(), p, 65535);
  CHECK(memcmp(twice.data(), packet.data(), packet.size()) == 0);
}

void echoes(fuzz::Input& in) {
  fuzz::Bytes bytes = packetOf(in);
  if (bytes.size() < 20) return;
  if (bytes[0] >> 4 == 4 && (in.u8() & 1) != 0) storeNumber32(&bytes[16], 0x64646464);
  fuzz::Exact packet(bytes);
  PacketFields p;
  if (!p.read(packet.data(), static_cast<uint32_t>(packet.size())) || !isServiceEcho(packet.data(), p)) return;
  const bool before = holds(packet.data(), p);
  answerEcho(packet.data(), p);
  PacketFields reply;
  CHECK(reply.read(packet.data(), static_cast<uint32_t>(packet.size())));
  CHECK(reply.source == p.destination && reply.destination == p.source && reply.icmpType == (p.v6 ? 129 : 0));
  CHECK(holds(packet.data(), reply) == before);
}

void translates(fuzz::Input& in) {
  Via via;
  via.setNets({Prefix(true, 96, Ip{{0xfd7a115c, 0xa1e00b1a, 1, 0}}), Prefix(true, 96, Ip{{0xfd7a115c, 0xa1e00b1a, 2, 0}})});
  CHECK(via.isOn());
  struct Tuple {
    int protocol;
    uint32_t source, destination;
    uint32_t ports;
    auto operator<=>(const Tuple&) const = default;
  };
  struct Use {
    ViaEnds ends;
    uint64_t atMs;
  };
  std::map<Tuple, Use> uses;
  uint64_t now = 0;
  for (uint32_t steps = 0; !in.isEmpty() && steps < 60; steps++) {
    now += in.u8() * 1000;
    fuzz::Bytes bytes = packetOf(in);
    const PeerId peer = in.u8() & 1;
    const uint32_t source = 0x64400001 + static_cast<uint32_t>(peer);
    if (bytes.size() >= 40 && bytes[0] >> 4 == 6 && (in.u8() & 7) != 0) {
      const uint8_t site = in.u8();
      const uint32_t words[] = {0xfd7a115c, 0xa1e00b1a, 1u + (site & 1), 0x0a000000u | (in.u8() & 1)};
      const uint64_t before = addBytes(0, &bytes[24], 16);
      for (uint32_t i = 0; i < 4; i++) storeNumber32(&bytes[24 + i * 4], words[i]);
      PacketFields q;  // keep a right checksum right
      if (q.read(bytes.data(), static_cast<uint32_t>(bytes.size()))) {
        const uint32_t field = q.protocol == kProtocolTcp ? 16u : q.protocol == kProtocolUdp ? 6u : q.protocol == kIcmp6 ? 2u : 0u;
        if (field != 0) changeChecksum(&bytes[q.transportAt + field], before, addBytes(0, &bytes[24], 16));
      }
    }
    fuzz::Exact packet(bytes);
    PacketFields p;
    if (!p.read(packet.data(), static_cast<uint32_t>(packet.size()))) continue;
    if (!via.serves(p)) {
      via.admitPlain(p, now);
      continue;
    }
    Drop why = Drop::kCount;
    if (!via.admit(packet.data(), p, peer, source, now, why)) {
      CHECK(why != Drop::kCount);
      continue;
    }
    const bool right = holds(packet.data(), p);
    const uint32_t start = viaToV4(packet.data(), p, source);
    PacketFields v4;
    CHECK(v4.read(packet.data() + start, p.totalBytes - start));
    CHECK(!v4.v6 && v4.totalBytes == p.totalBytes - start && v4.source.w[0] == source && v4.destination.w[0] == p.destination.w[3]);
    CHECK(v4.sourcePort == p.sourcePort && v4.destinationPort == p.destinationPort && v4.tcpFlags == p.tcpFlags);
    CHECK(holds(packet.data() + start, v4) == right);

    // Its answer: the same packet, ends exchanged, with room in front and the far end's word on the checksum.
    const uint32_t total = v4.totalBytes;
    fuzz::Exact room(total + kViaGrowth);
    uint8_t* answer = room.data() + kViaGrowth;
    memcpy(answer, packet.data() + start, total);
    storeNumber32(answer + 12, v4.destination.w[0]);
    storeNumber32(answer + 16, source);
    if (v4.isIcmp()) {
      changeChecksum(answer + 22, asWord(8 << 8), 0);
      answer[20] = 0;
    } else {
      for (uint32_t i = 0; i < 2; i++) std::swap(answer[20 + i], answer[22 + i]);
    }
    PacketFields a;
    CHECK(a.read(answer, total));
    ViaEnds ends;
    CHECK(via.answers(answer, a, 1 - peer, now, ends) == Via::Answer::kNone);
    CHECK(via.answers(answer, a, peer, now, ends) == Via::Answer::kTranslate);
    CHECK(ends.source == p.source && ends.destination == p.destination && ends.peer == peer);
    viaToV6(room.data(), total, ends);
    PacketFields b;
    CHECK(b.read(room.data(), static_cast<uint32_t>(room.size())));
    CHECK(b.v6 && b.totalBytes == total + kViaGrowth && b.source == p.destination && b.destination == p.source);
    const bool hadNone = v4.protocol == kProtocolUdp && number16(packet.data() + start + 26) == 0;
    const uint32_t said = b.protocol == kProtocolUdp ? number16(room.data() + 44) : 0;
    if (!hadNone || said == b.totalBytes - 40) CHECK(holds(room.data(), b) == (right || hadNone));
    const Tuple tuple{v4.protocol, source, v4.destination.w[0], v4.isIcmp() ? v4.icmpIdentifier : static_cast<uint32_t>(v4.sourcePort) << 16 | v4.destinationPort};
    const auto known = uses.find(tuple);
    CHECK(known == uses.end() || known->second.ends == ends || now >= known->second.atMs + kShortestLifeMs);
    uses[tuple] = {ends, now};
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Input in(data, size);
  switch (in.u8() & 3) {
    case 0:
      masquerades(in);
      break;
    case 1:
      clamps(in);
      break;
    case 2:
      echoes(in);
      break;
    default:
      translates(in);
  }
  return 0;
}
