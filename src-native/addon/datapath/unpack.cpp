#include "unpack.h"

#include <cstring>

#include "../checksum.h"

namespace pintail {

namespace {

class Reader {
 public:
  Reader(const uint8_t* bytes, size_t size) : at_(bytes), left_(size) {}
  bool ok() const { return ok_; }
  bool atEnd() const { return left_ == 0; }

  const uint8_t* bytes(size_t size) {
    if (left_ < size) ok_ = false;
    if (!ok_) return nullptr;
    const uint8_t* result = at_;
    at_ += size;
    left_ -= size;
    return result;
  }
  uint8_t byte() {
    const uint8_t* p = bytes(1);
    return p == nullptr ? 0 : *p;
  }
  uint16_t port() {
    const uint8_t* p = bytes(2);
    return p == nullptr ? 0 : static_cast<uint16_t>(number16(p));
  }
  // A count of things that take at least `each` bytes.
  uint32_t count(size_t each) {
    const uint8_t* p = bytes(4);
    const uint32_t value = p == nullptr ? 0 : number32(p);
    if (value > left_ / each) ok_ = false;
    return ok_ ? value : 0;
  }
  Prefix prefix() {
    const uint8_t* p = bytes(kPrefixBytes);
    if (p == nullptr) return {};
    const bool v6 = p[0] == 6;
    if ((!v6 && p[0] != 4) || p[1] > (v6 ? 128 : 32)) ok_ = false;
    Ip ip;
    for (uint32_t i = 0; i < (v6 ? 4u : 1u); i++) ip.w[i] = number32(p + 2 + i * 4);
    return {v6, p[1], ip};
  }
  std::vector<Prefix> prefixes() {
    std::vector<Prefix> list(count(kPrefixBytes));
    for (Prefix& entry : list) entry = prefix();
    return list;
  }

  static constexpr size_t kPrefixBytes = 18;

 private:
  const uint8_t* at_;
  size_t left_;
  bool ok_ = true;
};

FilterRule readRule(Reader& in) {
  FilterRule rule;
  rule.sources = in.prefixes();
  rule.capabilitySources = in.prefixes();
  rule.destinations.resize(in.count(Reader::kPrefixBytes + 4));
  for (FilterRule::Destination& d : rule.destinations) {
    d.prefix = in.prefix();
    d.firstPort = in.port();
    d.lastPort = in.port();
  }
  const uint32_t protocols = in.count(1);
  const uint8_t* numbers = in.bytes(protocols);
  if (numbers != nullptr) rule.protocols.assign(numbers, numbers + protocols);
  return rule;
}

}  // namespace

bool unpackPrefixes(const uint8_t* bytes, size_t size, std::vector<Prefix>& prefixes) {
  Reader in(bytes, size);
  prefixes = in.prefixes();
  return in.ok() && in.atEnd();
}

bool unpackFilter(const uint8_t* bytes, size_t size, FilterTable& table) {
  Reader in(bytes, size);
  table.shieldsUp = in.byte() != 0;
  table.localNets = in.prefixes();
  table.peerApi.resize(in.count(Reader::kPrefixBytes + 2));
  for (FilterTable::PeerApi& api : table.peerApi) {
    api.address = in.prefix();
    api.port = in.port();
  }
  table.rules.resize(in.count(16));
  for (FilterRule& rule : table.rules) rule = readRule(in);
  return in.ok() && in.atEnd();
}

}  // namespace pintail
