// Every counter once, in any order within the newest 8128. [RFC 6479, WG-5.1] Asked only after the tag was found valid.
#pragma once

#include <cstdint>

namespace pintail {

enum class Replay : uint8_t { kFresh, kOld, kSeen };

class ReplayWindow {
 public:
  Replay take(uint64_t counter) {
    const uint64_t word = counter / 64;
    if (counter > newest_) {
      const uint64_t front = newest_ / 64;
      if (word - front >= kWords) {
        for (uint64_t& bits : ring_) bits = 0;
      } else {
        for (uint64_t entered = front + 1; entered <= word; entered++) ring_[entered % kWords] = 0;
      }
      newest_ = counter;
    } else if (newest_ - counter > kWindow) {
      return Replay::kOld;
    }
    uint64_t& bits = ring_[word % kWords];
    const uint64_t bit = uint64_t{1} << (counter % 64);
    if ((bits & bit) != 0) return Replay::kSeen;
    bits |= bit;
    return Replay::kFresh;
  }

 private:
  static constexpr uint64_t kWords = 128;
  static constexpr uint64_t kWindow = (kWords - 1) * 64;
  uint64_t newest_ = 0;
  uint64_t ring_[kWords] = {};
};

}  // namespace pintail
