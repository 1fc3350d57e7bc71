// Disco packets of our own inside the tunnel: a path that leads through itself. Dropped, or it would be found to work. [PKT-2]
#pragma once

#include <cstdint>
#include <cstring>

#include "packet-fields.h"

namespace pintail {

class OwnDisco {
 public:
  static constexpr uint32_t kKeyBytes = 32;

  // nullptr: no key, nothing is ours.
  void set(const uint8_t* key) {
    isSet_ = key != nullptr;
    if (isSet_) memcpy(head_ + kMagicBytes, key, kKeyBytes);
  }
  bool isIn(const uint8_t* packet, const PacketFields& p) const {
    if (!isSet_ || p.protocol != kProtocolUdp) return false;
    const uint32_t at = p.transportAt + kUdpBytes;
    return p.totalBytes >= at + sizeof head_ && isHead(packet + at);
  }
  // Whether these bytes of a UDP payload, at least kHeadBytes of them, are ours.
  bool isHead(const uint8_t* payload) const { return memcmp(payload, head_, sizeof head_) == 0; }
  bool isSet() const { return isSet_; }

  static constexpr uint32_t kMagicBytes = 6;
  static constexpr uint32_t kHeadBytes = kMagicBytes + kKeyBytes;

 private:
  static constexpr uint32_t kUdpBytes = 8;
  bool isSet_ = false;
  uint8_t head_[kHeadBytes] = {'T', 'S', 0xf0, 0x9f, 0x92, 0xac};
};

}  // namespace pintail
