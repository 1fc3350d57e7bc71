// What a TUN device with offloads hands over: a virtio header and a packet, plain or to be cut. However wrong the header,
// cutting stays inside the packet, and the pieces are the packet.
//
// Input: room u16 · virtio header 10 · the packet. Room 0 stands for the largest packet there is.
#include "../addon/segments.h"

#include "packets.h"

using namespace pintail;

namespace {

void checkPlain(const OffloadHeader& header, const fuzz::Bytes& original, fuzz::Exact& piece) {
  CHECK(piece.size() == original.size());
  if ((header.flags & kNeedsChecksum) == 0) {
    CHECK(memcmp(piece.data(), original.data(), original.size()) == 0);
    return;
  }
  const size_t field = size_t{header.checksumStart} + header.checksumOffset;
  CHECK(field + 2 <= original.size());
  for (size_t i = 0; i < original.size(); i++) CHECK(piece.data()[i] == original[i] || i == field || i == field + 1);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Input in(data, size);
  const uint32_t limit = in.u16();
  const uint32_t room = limit == 0 ? kMaxSuperPacket : limit;
  OffloadHeader header;
  const fuzz::Bytes head = in.bytes(sizeof header);
  if (head.size() < sizeof header) return 0;
  memcpy(&header, head.data(), sizeof header);
  const fuzz::Bytes original = in.bytes(kMaxSuperPacket);
  const uint32_t length = static_cast<uint32_t>(original.size());
  fuzz::Exact packet(original);

  Segments segments;
  if (!segments.open(header, packet.data(), length, room)) {
    CHECK(segments.isEmpty() && segments.count() == 0);
    return 0;
  }
  const uint8_t kind = header.gsoType & static_cast<uint8_t>(~kGsoEcnBit);
  const uint32_t count = segments.count();
  CHECK(count > 0);
  if (kind == kGsoNone) CHECK(count == 1);

  const bool isTcp = kind != kGsoUdp;
  const bool v6 = original[0] >> 4 == 6;
  if (isTcp && kind != kGsoNone) CHECK(v6 == (kind == kGsoTcpV6));
  const uint32_t ipLength = header.checksumStart;
  uint32_t headerLength = 0;
  fuzz::Bytes payload;
  for (uint32_t i = 0; i < count; i++) {
    CHECK(!segments.isEmpty());
    const uint32_t next = segments.nextLength();
    CHECK(next > 0 && next <= room);
    fuzz::Exact piece(next);
    CHECK(segments.take(piece.data()) == next);
    if (kind == kGsoNone) {
      checkPlain(header, original, piece);
      continue;
    }
    const uint8_t* p = piece.data();
    const uint8_t* transport = p + ipLength;
    CHECK(ipLength >= (v6 ? 40u : 20u));
    headerLength = ipLength + (isTcp ? static_cast<uint32_t>(transport[12] >> 4) * 4 : kUdpHeader);
    CHECK(next > headerLength);
    if (v6) {
      CHECK(number16(p + 4) == next - 40);
    } else {
      CHECK(number16(p + 2) == next);
      CHECK(fuzz::ipv4HeaderHolds(p, ipLength));
      CHECK(static_cast<uint16_t>(number16(p + 4)) == static_cast<uint16_t>(number16(&original[4]) + i));
    }
    CHECK(fuzz::transportHolds(p, v6, isTcp ? kTcp : kUdp, ipLength, next));
    if (isTcp) {
      CHECK(number32(transport + 4) == static_cast<uint32_t>(number32(&original[ipLength + 4]) + payload.size()));
      const uint8_t flags = original[ipLength + 13];
      const uint8_t notLast = i + 1 < count ? kFin | kPsh : 0;
      const uint8_t notFirst = i > 0 ? kCwr : 0;
      CHECK(transport[13] == (flags & ~(notLast | notFirst)));
    } else {
      CHECK(number16(transport + 4) == next - ipLength);
    }
    if (i + 1 < count) CHECK(next - headerLength == header.segmentSize);
    payload.insert(payload.end(), p + headerLength, p + next);
  }
  CHECK(segments.isEmpty());
  if (kind != kGsoNone) {
    CHECK(payload.size() == length - headerLength);
    CHECK(memcmp(payload.data(), &original[headerLength], payload.size()) == 0);
  }
  return 0;
}
