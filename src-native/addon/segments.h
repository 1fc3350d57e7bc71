// One read of a TUN with offloads: a packet, or a TCP or UDP super-packet to be cut into packets of its segment size.
#pragma once

#include <cstdint>

#include "offload.h"

namespace pintail {

class Segments {
 public:
  // `packet` stays the caller's and is changed in place. False: malformed, nothing to take (counted by the caller).
  bool open(const OffloadHeader& header, uint8_t* packet, uint32_t length, uint32_t room);
  bool isEmpty() const { return next_ >= count_; }
  uint32_t count() const { return count_; }
  // What take() will answer.
  uint32_t nextLength() const;
  struct Payload {
    const uint8_t* bytes;
    uint32_t length;
  };
  // What packet `index` of a super-packet carries.
  Payload payload(uint32_t index) const;
  // Writes the next packet to `slot` (at least `room` bytes); answers its length.
  uint32_t take(uint8_t* slot);

 private:
  bool openPlain(const OffloadHeader& header);
  bool openSuper(const OffloadHeader& header, uint8_t protocol, uint32_t room);
  void finishTcp(uint8_t* slot, uint32_t total, uint32_t index);
  void finishUdp(uint8_t* slot, uint32_t total);
  void finishChecksum(uint8_t* slot, uint32_t total, uint32_t offset);

  uint8_t* packet_ = nullptr;
  uint32_t length_ = 0;
  uint32_t ipLength_ = 0;
  uint32_t headerLength_ = 0;
  uint32_t segmentSize_ = 0;
  uint32_t count_ = 0;
  uint32_t next_ = 0;
  uint8_t protocol_ = 0;  // of a super-packet; 0 = a plain packet
  bool v6_ = false;
};

}  // namespace pintail
