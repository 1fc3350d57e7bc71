// For tests: instead of sockets and an interface, lists of what would have gone out.
#pragma once

#include <vector>

#include "path.h"

namespace pintail {

class Path::Recorder final : public Wire {
 public:
  // Only IPv4, so that tests see what happens without the other.
  bool hasFamily(bool v6) const override { return !v6; }
  void send(Shipment* shipments, uint32_t count) override {
    for (uint32_t i = 0; i < count; i++) {
      const Shipment& s = shipments[i];
      for (uint32_t at = 0; at < s.size; at += s.segment) {
        const uint32_t left = s.size - at;
        append(sent, s.to, s.bytes + at, left < s.segment ? left : s.segment);
      }
    }
  }

  class Host final : public HostOut {
   public:
    explicit Host(Recorder& recorder) : recorder_(recorder) {}
    bool exists() const override { return recorder_.hasHost; }
    void add(uint8_t* packet, uint32_t length) override { append(recorder_.written, Address{}, packet, length); }
    void flush() override {}

   private:
    Recorder& recorder_;
  };

  bool hasHost = false;
  // Each: 28 bytes of address, u32 length, bytes.
  std::vector<uint8_t> sent;
  std::vector<uint8_t> written;

 private:
  static void append(std::vector<uint8_t>& list, const Address& address, const uint8_t* bytes, uint32_t size) {
    list.insert(list.end(), address.bytes, address.bytes + Address::kSize);
    const uint8_t* length = reinterpret_cast<const uint8_t*>(&size);
    list.insert(list.end(), length, length + sizeof size);
    list.insert(list.end(), bytes, bytes + size);
  }
};

}  // namespace pintail
