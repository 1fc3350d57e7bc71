// Reads one of the UDP sockets: a few messages at once, each a datagram or a bunch of equal ones (UDP_GRO).
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

  Receiver();
  // How many bunches there are, or below zero a negative errno.
  int receive(int fd);
  Bunch& bunch(uint32_t index) { return bunches_[index]; }

 private:
  std::unique_ptr<uint8_t[]> area_;
  Bunch bunches_[kMessages];
};

}  // namespace pintail
