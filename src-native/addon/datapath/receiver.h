// Reads one UDP socket: a few messages at once, each a datagram or a bunch of equal ones (UDP_GRO).
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <memory>

#include "address.h"

namespace pintail {

class Receiver {
 public:
  static constexpr uint32_t kMessages = 8;
  static constexpr uint32_t kMessageBytes = 65536;

  struct Bunch {
    Address from;
    uint8_t* bytes;
    uint32_t size;
    uint32_t segment;  // size of each datagram; the last may be shorter
    bool truncated;
  };
  // Datagrams that the kernel dropped because nobody fetched them, since the last call.
  uint32_t takeOverflow() {
    const uint32_t count = overflow_;
    overflow_ = 0;
    return count;
  }

  Receiver();
  // How many bunches there are, or below zero a negative errno.
  int receive(int fd);
  Bunch& bunch(uint32_t index) { return bunches_[index]; }

 private:
  std::unique_ptr<uint8_t[]> area_;
  Bunch bunches_[kMessages];
  uint32_t overflow_ = 0;
  uint32_t overflowBefore_ = 0;
};

}  // namespace pintail
