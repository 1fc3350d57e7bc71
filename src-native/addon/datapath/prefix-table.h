// Prefixes → values with longest-match lookup: one hash map per prefix length in use, longest first. A change costs the
// work of that one prefix. Not thread-safe: the tables' lock guards it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "packet-fields.h"

namespace pintail {

inline uint32_t wordMask(uint32_t bits, uint32_t index) {
  if (bits <= index * 32) return 0;
  const uint32_t own = bits - index * 32;
  return own >= 32 ? 0xffffffffu : 0xffffffffu << (32 - own);
}

inline Ip masked(const Ip& ip, uint32_t bits) {
  Ip result;
  for (uint32_t i = 0; i < 4; i++) result.w[i] = ip.w[i] & wordMask(bits, i);
  return result;
}

struct Prefix {
  bool v6 = false;
  uint32_t bits = 0;
  Ip ip;  // masked
  Ip mask;

  Prefix() = default;
  Prefix(bool isV6, uint32_t bitCount, const Ip& address) : v6(isV6), bits(bitCount), ip(masked(address, bitCount)) {
    for (uint32_t i = 0; i < 4; i++) mask.w[i] = wordMask(bitCount, i);
  }
  bool holds(const Ip& a) const {
    return (a.w[0] & mask.w[0]) == ip.w[0] && (a.w[1] & mask.w[1]) == ip.w[1] && (a.w[2] & mask.w[2]) == ip.w[2] &&
           (a.w[3] & mask.w[3]) == ip.w[3];
  }
};

template <typename Value>
class PrefixTable {
 public:
  // The value of the longest prefix that holds the address; nullptr = none. Good until the table changes.
  const Value* lookup(bool v6, const Ip& ip) const {
    for (const Level& level : v6 ? v6_ : v4_) {
      const auto found = level.map.find(masked(ip, level.bits));
      if (found != level.map.end()) return &found->second;
    }
    return nullptr;
  }

  // All matches, longest first, until `test` answers true.
  template <typename Test>
  bool some(bool v6, const Ip& ip, Test test) const {
    for (const Level& level : v6 ? v6_ : v4_) {
      const auto found = level.map.find(masked(ip, level.bits));
      if (found != level.map.end() && test(found->second)) return true;
    }
    return false;
  }

  Value* get(const Prefix& prefix) {
    for (Level& level : levels(prefix.v6)) {
      if (level.bits != prefix.bits) continue;
      const auto found = level.map.find(prefix.ip);
      return found == level.map.end() ? nullptr : &found->second;
    }
    return nullptr;
  }

  Value& at(const Prefix& prefix) {
    std::vector<Level>& all = levels(prefix.v6);
    size_t i = 0;
    while (i < all.size() && all[i].bits > prefix.bits) i++;
    if (i == all.size() || all[i].bits != prefix.bits) all.insert(all.begin() + static_cast<std::ptrdiff_t>(i), Level{prefix.bits, {}});
    return all[i].map[prefix.ip];
  }

  void remove(const Prefix& prefix) {
    std::vector<Level>& all = levels(prefix.v6);
    for (size_t i = 0; i < all.size(); i++) {
      if (all[i].bits != prefix.bits) continue;
      all[i].map.erase(prefix.ip);
      if (all[i].map.empty()) all.erase(all.begin() + static_cast<std::ptrdiff_t>(i));
      return;
    }
  }

 private:
  struct Hash {
    size_t operator()(const Ip& ip) const {
      uint64_t h = ip.w[0] * 0x9e3779b97f4a7c15u;
      if ((ip.w[1] | ip.w[2] | ip.w[3]) != 0) {
        h ^= (static_cast<uint64_t>(ip.w[1]) << 32 | ip.w[2]) * 0xc2b2ae3d27d4eb4fu;
        h = (h ^ h >> 29) + ip.w[3] * 0x165667b19e3779f9u;
      }
      return h ^ h >> 32;
    }
  };
  struct Level {
    uint32_t bits;
    std::unordered_map<Ip, Value, Hash> map;
  };
  std::vector<Level>& levels(bool v6) { return v6 ? v6_ : v4_; }

  std::vector<Level> v4_;
  std::vector<Level> v6_;
};

}  // namespace pintail
