// One packet in a batch buffer, shared with JavaScript (`src-native/slots.ts` draws the same layout).
//
//   0  4  payload length
//   4 28  struct sockaddr_in or sockaddr_in6 as the kernel has it (unused for TUN)
//  32  …  payload
#pragma once

#include <netinet/in.h>

#include <cstdint>

namespace pintail {

constexpr uint32_t kSlotHeader = 32;
constexpr uint32_t kAddressOffset = 4;
constexpr uint32_t kAddressSize = 28;
static_assert(sizeof(sockaddr_in6) == kAddressSize);
static_assert(sizeof(sockaddr_in) <= kAddressSize);

}  // namespace pintail
