// The flow table against a list: 512 flows, least recently used out first. [FLT-4.1]
//
// Input: steps of u8 kind · u8 how many · u16 first port; a step touches that many flows in a row.
#include "../addon/datapath/flow-table.h"

#include <list>

#include "fuzz.h"

using pintail::PacketFields;

namespace {

PacketFields outbound(uint32_t number, uint8_t kind) {
  PacketFields p;
  p.v6 = (kind & 8) != 0;
  p.protocol = (kind & 16) != 0 ? pintail::kSctp : pintail::kProtocolUdp;
  p.source.w[0] = 0x64400001;
  p.destination.w[p.v6 ? 3 : 0] = 0x64400002 + (number >> 9);
  p.sourcePort = static_cast<uint16_t>(number);
  p.destinationPort = 53;
  return p;
}

PacketFields answer(PacketFields p) {
  std::swap(p.source, p.destination);
  std::swap(p.sourcePort, p.destinationPort);
  return p;
}

bool sameFlow(const PacketFields& a, const PacketFields& b) {
  return a.v6 == b.v6 && a.protocol == b.protocol && a.source == b.source && a.destination == b.destination &&
         a.sourcePort == b.sourcePort && a.destinationPort == b.destinationPort;
}

// Nobody may know which flows share a bucket: no two tables agree.
[[maybe_unused]] const bool hashHasKeys = [] {
  const pintail::KeyedHash<4> one;
  const pintail::KeyedHash<4> other;
  uint32_t alike = 0;
  for (uint32_t i = 0; i < 1000; i++) alike += (one({17, i, 1, 2}) & 1023) == (other({17, i, 1, 2}) & 1023);
  CHECK(alike < 50);
  return true;
}();

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr size_t kCapacity = 512;
  fuzz::Input in(data, size);
  pintail::FlowTable table;
  std::list<PacketFields> model;  // newest first
  const auto touch = [&model](const PacketFields& p) {
    for (auto it = model.begin(); it != model.end(); ++it) {
      if (!sameFlow(*it, p)) continue;
      model.splice(model.begin(), model, it);
      return true;
    }
    return false;
  };
  for (uint32_t steps = 0; !in.isEmpty() && steps < 64; steps++) {
    const uint8_t kind = in.u8();
    const uint32_t count = in.u8();
    const uint32_t first = in.u16() % 2048;
    for (uint32_t i = 0; i <= count; i++) {
      const PacketFields p = outbound(first + i, kind);
      switch (kind & 3) {
        case 0:
          table.addReverse(p);
          if (!touch(p)) model.push_front(p);
          if (model.size() > kCapacity) model.pop_back();
          break;
        case 1:
          CHECK(table.has(answer(p)) == touch(p));
          break;
        default:  // the same packet inbound is no answer
          CHECK(!table.has(p));
      }
    }
  }
  return 0;
}
