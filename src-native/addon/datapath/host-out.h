// Where packets for the host go: the interface (joined into super-packets where it can take them), or a list in tests.
#pragma once

#include <cstdint>

namespace pintail {

class HostOut {
 public:
  HostOut() = default;
  virtual ~HostOut() = default;
  HostOut(const HostOut&) = delete;
  HostOut& operator=(const HostOut&) = delete;
  virtual bool exists() const = 0;
  // `packet` must stay valid, and may be changed, until flush().
  virtual void add(uint8_t* packet, uint32_t length) = 0;
  virtual void flush() = 0;
};

}  // namespace pintail
