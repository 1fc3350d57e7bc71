// Tables as JavaScript packs them, of any bytes. First byte: which table. What is taken must be what was packed.
#include "../addon/datapath/unpack.h"

#include "../addon/checksum.h"
#include "fuzz.h"

using namespace pintail;

namespace {

// The layout that pack-tables.ts draws, written once more.
class Packer {
 public:
  fuzz::Bytes bytes;
  void u8(uint32_t value) { bytes.push_back(static_cast<uint8_t>(value)); }
  void u16(uint32_t value) { u8(value >> 8), u8(value); }
  void u32(uint32_t value) { u16(value >> 16), u16(value); }
  void prefix(const Prefix& p) {
    u8(p.v6 ? 6 : 4);
    u8(p.bits);
    for (uint32_t word : p.ip.w) u32(word);
  }
  void prefixes(const std::vector<Prefix>& list) {
    u32(static_cast<uint32_t>(list.size()));
    for (const Prefix& p : list) prefix(p);
  }
  void filter(const FilterTable& table) {
    u8(table.shieldsUp);
    prefixes(table.localNets);
    u32(static_cast<uint32_t>(table.peerApi.size()));
    for (const FilterTable::PeerApi& api : table.peerApi) prefix(api.address), u16(api.port);
    u32(static_cast<uint32_t>(table.rules.size()));
    for (const FilterRule& rule : table.rules) {
      prefixes(rule.sources);
      prefixes(rule.capabilitySources);
      u32(static_cast<uint32_t>(rule.destinations.size()));
      for (const FilterRule::Destination& d : rule.destinations) prefix(d.prefix), u16(d.firstPort), u16(d.lastPort);
      u32(static_cast<uint32_t>(rule.protocols.size()));
      for (uint8_t protocol : rule.protocols) u8(protocol);
    }
  }
};

void checkPrefix(const Prefix& p) {
  CHECK(p.bits <= (p.v6 ? 128u : 32u));
  for (uint32_t i = 0; i < 4; i++) {
    CHECK((p.ip.w[i] & ~p.mask.w[i]) == 0);
    CHECK(p.mask.w[i] == wordMask(p.bits, i));
  }
}

void checkPrefixes(const std::vector<Prefix>& list) {
  for (const Prefix& p : list) checkPrefix(p);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const bool wantsFilter = (data[0] & 1) != 0;
  fuzz::Exact bytes(data + 1, size - 1);
  Packer packer;
  if (!wantsFilter) {
    std::vector<Prefix> list;
    if (!unpackPrefixes(bytes.data(), bytes.size(), list)) return 0;
    checkPrefixes(list);
    packer.prefixes(list);
    CHECK(packer.bytes.size() == bytes.size());
    std::vector<Prefix> again;
    CHECK(unpackPrefixes(packer.bytes.data(), packer.bytes.size(), again));
    CHECK(again.size() == list.size());
    for (size_t i = 0; i < list.size(); i++) {
      CHECK(again[i].v6 == list[i].v6 && again[i].bits == list[i].bits && again[i].ip == list[i].ip);
    }
    return 0;
  }
  FilterTable table;
  if (!unpackFilter(bytes.data(), bytes.size(), table)) return 0;
  checkPrefixes(table.localNets);
  for (const FilterTable::PeerApi& api : table.peerApi) checkPrefix(api.address);
  for (const FilterRule& rule : table.rules) {
    checkPrefixes(rule.sources);
    checkPrefixes(rule.capabilitySources);
    for (const FilterRule::Destination& d : rule.destinations) checkPrefix(d.prefix);
  }
  packer.filter(table);
  CHECK(packer.bytes.size() == bytes.size());
  FilterTable again;
  CHECK(unpackFilter(packer.bytes.data(), packer.bytes.size(), again));
  Packer repacked;
  repacked.filter(again);
  CHECK(repacked.bytes == packer.bytes);
  const PacketFilter filter(&table);
  CHECK(filter.shieldsUp() == table.shieldsUp);
  return 0;
}
