// A hash of a few words with keys drawn at random: who chooses the words cannot choose those that share a bucket. Multilinear,
// of which the upper half is good. [Lemire and Kaser, "Strongly universal string hashing is fast"]
#pragma once

#include <sys/random.h>

#include <cstddef>
#include <cstdint>

namespace pintail {

template <size_t kWords>
class KeyedHash {
 public:
  KeyedHash() {
    // So few bytes come whole. Where the kernel has none to give, the hash is as good as any other.
    if (getrandom(keys_, sizeof keys_, 0) < 0) {
      for (size_t i = 0; i <= kWords; i++) keys_[i] = (2 * i + 1) * 0x9e3779b97f4a7c15u;
    }
  }
  uint32_t operator()(const uint32_t (&words)[kWords]) const {
    uint64_t sum = keys_[kWords];
    for (size_t i = 0; i < kWords; i++) sum += keys_[i] * words[i];
    return static_cast<uint32_t>(sum >> 32);
  }

 private:
  uint64_t keys_[kWords + 1];
};

}  // namespace pintail
