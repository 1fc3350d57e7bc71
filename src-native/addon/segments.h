// One read of a TUN with offloads: a packet, or a TCP super-packet to be cut into packets of its segment size.
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
  // Writes the next packet to `slot` (at least `room` bytes); answers its length.
  uint32_t take(uint8_t* slot);

 private:
  bool openPlain(const OffloadHeader& header);
  bool openTcp(const OffloadHeader& header, bool v6, uint32_t room);

  uint8_t* packet_ = nullptr;
  uint32_t length_ = 0;
  uint32_t ipLength_ = 0;
  uint32_t headerLength_ = 0;
  uint32_t segmentSize_ = 0;
  uint32_t count_ = 0;
  uint32_t next_ = 0;
  bool isTcp_ = false;
  bool v6_ = false;
};

}  // namespace pintail
