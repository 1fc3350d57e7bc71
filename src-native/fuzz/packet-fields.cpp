// IP headers and ICMP answers of any bytes: nothing is read beyond the packet, and what is reported lies where it must.
#include "../addon/datapath/packet-fields.h"

#include "../addon/checksum.h"
#include "../addon/icmp-answer.h"
#include "fuzz.h"

using pintail::PacketFields;

namespace {

bool same(const PacketFields& a, const PacketFields& b) {
  return a.v6 == b.v6 && a.protocol == b.protocol && a.totalBytes == b.totalBytes && a.transportAt == b.transportAt &&
         a.source == b.source && a.destination == b.destination && a.sourcePort == b.sourcePort &&
         a.destinationPort == b.destinationPort && a.tcpFlags == b.tcpFlags && a.icmpType == b.icmpType &&
         (a.icmpType < 0 || (a.icmpCode == b.icmpCode && a.icmpIdentifier == b.icmpIdentifier));
}

PacketFields leftovers() {
  PacketFields p;
  p.v6 = true;
  p.protocol = pintail::kProtocolTcp;
  p.totalBytes = p.transportAt = p.bytes = 77;
  p.sourcePort = p.destinationPort = 77;
  p.tcpFlags = 77;
  p.icmpType = p.icmpCode = 77;
  p.icmpIdentifier = 77;
  return p;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const uint32_t length = static_cast<uint32_t>(size);
  fuzz::Exact packet(data, size);
  for (const bool raw : {false, true}) {
    const size_t start = !raw ? 0 : size == 0 ? 20 : (data[0] & 15u) * 4;
    uint64_t token = 0;
    if (size >= start + 16) memcpy(&token, data + start + 8, 8);
    const bool isAnswer = size >= (raw ? 20u : 0u) && size >= start + 16 && data[start] == 0;
    CHECK(pintail::isEchoAnswer(packet.data(), size, raw, token) == isAnswer);
    CHECK(!pintail::isEchoAnswer(packet.data(), size, raw, token + 1) || size < start + 16);
  }

  PacketFields p;
  const bool known = p.read(packet.data(), length);
  CHECK(p.bytes == length);

  // What another packet has left behind must not show.
  PacketFields again = leftovers();
  CHECK(again.read(packet.data(), length) == known);
  if (!known) {
    CHECK(p.protocol == pintail::kProtocolUnknown && again.protocol == pintail::kProtocolUnknown);
    return 0;
  }
  CHECK(same(p, again));

  CHECK(p.v6 == (data[0] >> 4 == 6));
  CHECK(p.totalBytes <= length && p.transportAt <= p.totalBytes);
  CHECK(p.transportAt >= (p.v6 ? 40u : 20u));
  CHECK(p.source.w[0] == pintail::number32(data + (p.v6 ? 8 : 12)));
  CHECK(p.destination.w[p.v6 ? 3 : 0] == pintail::number32(data + (p.v6 ? 36 : 16)));
  CHECK(p.protocol >= pintail::kProtocolFragment && p.protocol < 255 && p.protocol != 0);

  const uint8_t* transport = data + p.transportAt;
  const uint32_t available = p.totalBytes - p.transportAt;
  const bool hasPorts = p.protocol == pintail::kProtocolTcp || p.protocol == pintail::kProtocolUdp || p.protocol == pintail::kSctp;
  if (hasPorts) {
    CHECK(available >= 8);
    CHECK(p.sourcePort == pintail::number16(transport) && p.destinationPort == pintail::number16(transport + 2));
  } else {
    CHECK(p.sourcePort == 0 && p.destinationPort == 0);
  }
  if (p.protocol == pintail::kProtocolTcp) CHECK(available >= 20 && p.tcpFlags == transport[13]);
  if (p.icmpType >= 0) {
    CHECK(p.isIcmp() && available >= 8 && p.icmpType == transport[0] && p.icmpCode == transport[1]);
    CHECK(p.icmpIdentifier == pintail::number16(transport + 4));
  }

  // Padding behind the packet changes nothing.
  fuzz::Exact trimmed(data, p.totalBytes);
  PacketFields q;
  CHECK(q.read(trimmed.data(), p.totalBytes));
  CHECK(same(p, q));
  return 0;
}
