// Whether what came back on an ICMP socket is the answer to our echo request.
#pragma once

#include <netinet/ip_icmp.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace pintail {

struct EchoMessage {
  icmphdr header{};
  uint64_t token = 0;
};

// A raw socket hands the IP header up as well; a datagram socket does not. The token tells our answer from others'.
inline bool isEchoAnswer(const uint8_t* packet, size_t length, bool raw, uint64_t token) {
  size_t offset = 0;
  if (raw) {
    if (length < 20) return false;
    offset = static_cast<size_t>(packet[0] & 0x0f) * 4;
  }
  EchoMessage message;
  if (length < offset + sizeof message) return false;
  memcpy(&message, packet + offset, sizeof message);
  return message.header.type == ICMP_ECHOREPLY && message.token == token;
}

}  // namespace pintail
