// What all fuzz targets share: a reader that turns any bytes into numbers and packets, and a check that ends the process.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#define CHECK(condition)                                                            \
  do {                                                                              \
    if (!(condition)) {                                                             \
      fprintf(stderr, "%s:%d: this must hold: %s\n", __FILE__, __LINE__, #condition); \
      abort();                                                                      \
    }                                                                               \
  } while (false)

namespace fuzz {

using Bytes = std::vector<uint8_t>;

// Exactly so many bytes on the heap: whoever reads or writes one more is caught.
class Exact {
 public:
  explicit Exact(size_t size) : bytes_(new uint8_t[size]), size_(size) {}
  Exact(const uint8_t* from, size_t size) : Exact(size) {
    if (size > 0) memcpy(bytes_.get(), from, size);
  }
  explicit Exact(const Bytes& from) : Exact(from.data(), from.size()) {}
  uint8_t* data() { return bytes_.get(); }
  size_t size() const { return size_; }

 private:
  std::unique_ptr<uint8_t[]> bytes_;
  size_t size_;
};

// Never fails: past the end come zeros.
class Input {
 public:
  Input(const uint8_t* bytes, size_t size) : at_(bytes), left_(size) {}
  bool isEmpty() const { return left_ == 0; }
  size_t left() const { return left_; }

  uint8_t u8() { return static_cast<uint8_t>(number(1)); }
  uint16_t u16() { return static_cast<uint16_t>(number(2)); }
  uint32_t u32() { return static_cast<uint32_t>(number(4)); }
  uint64_t u64() { return number(8); }
  // 0 … count - 1
  uint32_t below(uint32_t count) { return (count <= 256 ? u8() : u16()) % count; }
  // At most so many.
  Bytes bytes(size_t size) {
    const size_t taken = size < left_ ? size : left_;
    Bytes result(at_, at_ + taken);
    at_ += taken;
    left_ -= taken;
    return result;
  }

 private:
  uint64_t number(size_t size) {
    uint64_t value = 0;
    for (size_t i = 0; i < size; i++) {
      value = value << 8 | (left_ > 0 ? *at_ : 0u);
      if (left_ > 0) at_++, left_--;
    }
    return value;
  }

  const uint8_t* at_;
  size_t left_;
};

}  // namespace fuzz
