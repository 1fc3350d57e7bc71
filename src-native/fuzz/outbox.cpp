// Datagrams of any sizes to a few addresses: what is sent is what was put in, in order for each address, in pieces that
// the kernel takes.
//
// Input: steps of u8 address and kind · u16 size.
#include "../addon/datapath/outbox.h"

#include <map>

#include "fuzz.h"

using namespace pintail;

namespace {

Address addressOf(uint8_t number) {
  Address address;
  const sa_family_t family = number & 1 ? AF_INET6 : AF_INET;
  memcpy(address.bytes, &family, sizeof family);
  address.bytes[number & 2 ? 7 : 3] = number;
  if ((number & 1) != 0) address.bytes[20] = number;
  return address;
}

class Recorder final : public Wire {
 public:
  std::map<uint8_t, std::vector<fuzz::Bytes>> sent;
  bool hasFamily(bool v6) const override { return !v6 || allowsV6; }
  bool allowsV6 = true;
  void send(Shipment* shipments, uint32_t count) override {
    CHECK(count <= Outbox::kShipments);
    for (uint32_t i = 0; i < count; i++) {
      const Shipment& s = shipments[i];
      CHECK(s.count <= 64 && s.size <= 65507);
      uint32_t pieces = 0;
      for (uint32_t at = 0; at < s.size; at += s.segment, pieces++) {
        const uint32_t left = s.size - at;
        sent[numberOf(s.to)].emplace_back(s.bytes + at, s.bytes + at + (left < s.segment ? left : s.segment));
      }
      CHECK(pieces == s.count);
    }
  }

 private:
  static uint8_t numberOf(const Address& address) {
    for (uint8_t i = 0; i < 32; i++) {
      if (addressOf(i) == address) return i;
    }
    CHECK(false);
    return 0;
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Input in(data, size);
  Recorder wire;
  wire.allowsV6 = (in.u8() & 1) == 0;
  Outbox outbox(wire);
  std::map<uint8_t, std::vector<fuzz::Bytes>> wanted;
  uint32_t serial = 0;
  while (!in.isEmpty() && serial < 300) {
    const uint8_t first = in.u8();
    const uint8_t number = first & 31;
    const uint32_t length = in.u16();
    if ((first & 0xc0) == 0xc0) {
      outbox.flush();
      CHECK(outbox.waitingBytes() == 0);
    }
    if ((first & 0xc0) == 0x80) outbox.flushFull();
    const Address to = addressOf(number);
    uint8_t* room = outbox.reserve(to, length);
    if (room == nullptr) {
      CHECK(length == 0 || length > 65507 || (to.isV6() && !wire.allowsV6));
      continue;
    }
    fuzz::Bytes bytes(length, static_cast<uint8_t>(serial));
    for (uint32_t i = 0; i < 4 && i < length; i++) bytes[length - 1 - i] = static_cast<uint8_t>(serial++ * 7);
    memcpy(room, bytes.data(), length);
    if ((first & 0xc0) == 0x40) {
      outbox.cancel();
    } else {
      wanted[number].push_back(bytes);
    }
  }
  outbox.flush();
  CHECK(wire.sent == wanted);
  return 0;
}
