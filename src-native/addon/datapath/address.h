// A UDP address exactly as the kernel has it: sockaddr_in or sockaddr_in6, compared as bytes. `slots.ts` draws the layout.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdint>
#include <cstring>

namespace pintail {

struct Address {
  static constexpr uint32_t kSize = sizeof(sockaddr_in6);
  alignas(4) uint8_t bytes[kSize] = {};

  sa_family_t family() const {
    sa_family_t value = 0;
    memcpy(&value, bytes, sizeof value);
    return value;
  }
  bool isV6() const { return family() == AF_INET6; }
  // Only what the family uses: the kernel leaves the rest of a sockaddr_in alone.
  uint32_t size() const { return isV6() ? sizeof(sockaddr_in6) : sizeof(sockaddr_in); }
  bool operator==(const Address& other) const {
    if (memcmp(bytes, other.bytes, 8) != 0) return false;  // family, port, IPv4 address or flow
    return !isV6() || memcmp(bytes + 8, other.bytes + 8, kSize - 8) == 0;
  }
};

}  // namespace pintail
