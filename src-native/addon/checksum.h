// The internet checksum, in memory order: sums of 16-bit words as they lie in memory, so that a result is stored without
// swapping. [RFC 1071]
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace pintail {

// Adds bytes to a running sum; only the last part of a message may have an odd length.
inline uint64_t addBytes(uint64_t sum, const uint8_t* bytes, size_t length) {
  // Two chains of additions with carry, which the processor runs side by side; 2^64 counts as one.
  unsigned __int128 even = sum;
  unsigned __int128 odd = 0;
  while (length >= 16) {
    uint64_t words[2];
    memcpy(words, bytes, 16);
    even += words[0];
    odd += words[1];
    bytes += 16;
    length -= 16;
  }
  even += odd;
  const uint64_t low = static_cast<uint64_t>(even);
  sum = (low & 0xffffffff) + (low >> 32) + static_cast<uint64_t>(even >> 64);
  while (length >= 2) {
    uint16_t word = 0;
    memcpy(&word, bytes, 2);
    sum += word;
    bytes += 2;
    length -= 2;
  }
  if (length == 1) sum += *bytes;  // the missing byte behind it is zero (little-endian hosts)
  return sum;
}

inline uint16_t fold(uint64_t sum) {
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(sum);
}

// A 16-bit number as it lies in a packet.
inline uint64_t asWord(uint32_t value) { return ((value & 0xff) << 8) | ((value >> 8) & 0xff); }

// Sum of the pseudo header of a packet with this IP header: addresses, protocol, transport length.
inline uint64_t pseudoHeader(const uint8_t* ip, bool v6, uint8_t protocol, uint32_t transportLength) {
  const uint64_t addresses = v6 ? addBytes(0, ip + 8, 32) : addBytes(0, ip + 12, 8);
  return addresses + asWord(protocol) + asWord(transportLength & 0xffff) + asWord(transportLength >> 16);
}

inline void store16(uint8_t* at, uint16_t memoryOrder) { memcpy(at, &memoryOrder, 2); }

inline void storeNumber16(uint8_t* at, uint32_t value) {
  at[0] = static_cast<uint8_t>(value >> 8);
  at[1] = static_cast<uint8_t>(value);
}

inline uint32_t number16(const uint8_t* at) { return static_cast<uint32_t>(at[0] << 8 | at[1]); }

inline uint32_t number32(const uint8_t* at) {
  return static_cast<uint32_t>(at[0]) << 24 | static_cast<uint32_t>(at[1]) << 16 | static_cast<uint32_t>(at[2]) << 8 | at[3];
}

inline void storeNumber32(uint8_t* at, uint32_t value) {
  storeNumber16(at, value >> 16);
  storeNumber16(at + 2, value & 0xffff);
}

// Header checksum of an IPv4 header, stored in place.
inline void checksumIpv4Header(uint8_t* ip, uint32_t headerLength) {
  storeNumber16(ip + 10, 0);
  store16(ip + 10, static_cast<uint16_t>(~fold(addBytes(0, ip, headerLength))));
}

// Changes a checksum field for words that change from `removed` to `added` (sums of them). [RFC 1624, equation 3]
inline void changeChecksum(uint8_t* field, uint64_t removed, uint64_t added) {
  uint16_t old = 0;
  memcpy(&old, field, 2);
  store16(field, static_cast<uint16_t>(~fold(static_cast<uint16_t>(~old) + uint64_t{static_cast<uint16_t>(~fold(removed))} + added)));
}

// The same for UDP, where zero says that there is no checksum. [RFC 768]
inline void changeUdpChecksum(uint8_t* field, uint64_t removed, uint64_t added) {
  if (number16(field) == 0) return;
  changeChecksum(field, removed, added);
  if (number16(field) == 0) storeNumber16(field, 0xffff);
}

}  // namespace pintail
