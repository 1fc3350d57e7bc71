// The host side of a TUN device: packets are joined into super-packets where the device takes them.
#pragma once

#include "../coalesce.h"
#include "host-out.h"
#include "up.h"

namespace pintail {

class InterfaceOut final : public HostOut {
 public:
  InterfaceOut(int fd, bool offload, bool joinsUdp, Up& up, Counters& counters)
      : fd_(fd), offload_(offload), up_(up), counters_(counters), coalescer_(fd, joinsUdp) {}
  bool exists() const override { return fd_ >= 0; }
  void add(uint8_t* packet, uint32_t length) override;
  void flush() override;

 private:
  void failed(int error, uint32_t packets);

  const int fd_;
  const bool offload_;
  Up& up_;
  Counters& counters_;
  Coalescer coalescer_;
  bool saidNoJoins_ = false;
};

}  // namespace pintail
