// The fields of an IP packet that routing and the filter look at. Same rules, same names as `src-native/packet-fields.ts`,
// which explains them: what is not fully understood is kUnknown, and never accepted.
#pragma once

#include <cstdint>

namespace pintail {

constexpr int kProtocolUnknown = -1;
constexpr int kProtocolFragment = -2;

constexpr int kIcmp4 = 1;
constexpr int kIgmp = 2;
constexpr int kProtocolTcp = 6;
constexpr int kProtocolUdp = 17;
constexpr int kIcmp6 = 58;
constexpr int kTsmp = 99;
constexpr int kSctp = 132;

// An IP address as big-endian words; v4 in the first.
struct Ip {
  uint32_t w[4] = {};
  bool operator==(const Ip& o) const { return w[0] == o.w[0] && w[1] == o.w[1] && w[2] == o.w[2] && w[3] == o.w[3]; }
};

struct PacketFields {
  bool v6 = false;
  int protocol = kProtocolUnknown;
  uint32_t totalBytes = 0;
  uint32_t transportAt = 0;
  Ip source;
  Ip destination;
  uint16_t sourcePort = 0;
  uint16_t destinationPort = 0;
  uint8_t tcpFlags = 0;
  int icmpType = -1;
  int icmpCode = 0;
  uint16_t icmpIdentifier = 0;
  uint32_t bytes = 0;

  // False when not even addresses can be told.
  bool read(const uint8_t* packet, uint32_t length);
  bool isSyn() const { return (tcpFlags & 0x12) == 0x02; }
  bool isIcmp() const { return protocol == (v6 ? kIcmp6 : kIcmp4); }

 private:
  bool readV4(const uint8_t* packet, uint32_t length);
  bool readV6(const uint8_t* packet, uint32_t length);
  void readTransport(const uint8_t* packet, int number, uint32_t fragmentOffset, bool moreFragments);
  uint32_t minimum(int number) const;
};

}  // namespace pintail
