// Packets for a TUN with offloads: runs of one TCP flow are joined into a super-packet, which costs the kernel one packet's
// work. Everything else is written as it is. The order within a flow never changes.
#pragma once

#include <sys/uio.h>

#include <cstdint>

#include "offload.h"

namespace pintail {

class Coalescer {
 public:
  explicit Coalescer(int fd) : fd_(fd) {}

  // `packet` must stay valid, and may be changed, until flush().
  void add(uint8_t* packet, uint32_t length);
  void flush();
  // errno of the last write that failed; 0 = none.
  int error() const { return error_; }
  // How many writes failed since the last call.
  uint32_t takeFailures() {
    const uint32_t count = failures_;
    failures_ = 0;
    return count;
  }

 private:
  static constexpr uint32_t kGroups = 8;
  static constexpr uint32_t kMaxParts = 64;

  // A TCP packet that may be joined with its neighbours.
  struct Tcp {
    uint8_t* packet;
    uint32_t length;
    uint32_t ipLength;
    uint32_t headerLength;
    uint32_t sequence;
    bool v6;
    bool push;
    // Addresses and ports; two packets of one flow are adjacent in order or not at all.
    bool sameFlow(const Tcp& other) const;
    // Everything in the headers that a joined packet can carry only once.
    bool sameHeaders(const Tcp& other) const;
    bool checksumHolds() const;
    uint32_t payload() const { return length - headerLength; }
  };

  struct Group {
    Tcp first;
    bool used = false;
    bool closed = false;
    bool push = false;
    bool firstChecked = false;
    uint32_t nextSequence = 0;
    uint32_t total = 0;
    uint32_t parts = 0;
    iovec payloads[kMaxParts];
  };

  static bool parse(uint8_t* packet, uint32_t length, Tcp& tcp);
  bool append(Group& group, const Tcp& tcp);
  void start(Group& group, const Tcp& tcp);
  void flushGroup(Group& group);
  void writePlain(uint8_t* packet, uint32_t length);
  void writeAll(const OffloadHeader& header, iovec* parts, uint32_t count);

  const int fd_;
  int error_ = 0;
  uint32_t failures_ = 0;
  uint32_t oldest_ = 0;
  Group groups_[kGroups];
};

}  // namespace pintail
