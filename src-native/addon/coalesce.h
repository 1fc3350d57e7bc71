// Packets for a TUN with offloads: runs of one TCP or UDP flow are joined into a super-packet, which costs the kernel one
// packet's work. Everything else is written as it is. The order within a flow never changes.
#pragma once

#include <sys/uio.h>

#include <cstdint>

#include "offload.h"

namespace pintail {

class Coalescer {
 public:
  Coalescer(int fd, bool joinsUdp) : fd_(fd), joinsUdp_(joinsUdp) {}

  // `packet` must stay valid, and may be changed, until flush().
  void add(uint8_t* packet, uint32_t length);
  void flush();
  // errno of the last write that failed; 0 = none.
  int error() const { return error_; }
  // Packets that were lost to failed writes since the last call.
  uint32_t takeLost() {
    const uint32_t count = lost_;
    lost_ = 0;
    return count;
  }
  // Some kernels refuse joined packets; after the first refusal packets are written one by one.
  bool joins() const { return joins_; }

 private:
  static constexpr uint32_t kGroups = 8;
  static constexpr uint32_t kMaxParts = 63;  // and the first makes 64, the most that kernels take of UDP

  // A packet that may be joined with its neighbours.
  struct Candidate {
    uint8_t* packet;
    uint32_t length;
    uint32_t ipLength;
    uint32_t headerLength;
    uint32_t sequence;  // TCP
    uint8_t protocol;
    bool v6;
    bool push;  // TCP
    // Addresses and ports; two packets of one flow are adjacent in order or not at all.
    bool sameFlow(const Candidate& other) const;
    // Everything in the headers that a joined packet can carry only once.
    bool sameHeaders(const Candidate& other) const;
    bool checksumHolds() const;
    uint32_t payload() const { return length - headerLength; }
  };

  struct Group {
    Candidate first;
    bool used = false;
    bool closed = false;
    bool push = false;
    bool firstChecked = false;
    uint32_t nextSequence = 0;
    uint32_t total = 0;
    uint32_t parts = 0;
    iovec payloads[kMaxParts];
  };

  bool parse(uint8_t* packet, uint32_t length, Candidate& found) const;
  static bool parseTcp(Candidate& found);
  static bool parseUdp(Candidate& found);
  bool append(Group& group, const Candidate& next);
  void start(Group& group, const Candidate& first);
  void flushGroup(Group& group);
  void writePlain(uint8_t* packet, uint32_t length);
  bool writeAll(const OffloadHeader& header, iovec* parts, uint32_t count);

  const int fd_;
  const bool joinsUdp_;
  bool joins_ = true;
  int error_ = 0;
  uint32_t lost_ = 0;
  uint32_t oldest_ = 0;
  Group groups_[kGroups];
};

}  // namespace pintail
