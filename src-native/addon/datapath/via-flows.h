// Translated flows: IPv4 five-tuple → the IPv6 addresses it stands for. 4096 of them, least recently used out first. While
// one lives, no other may have its five-tuple: two sites may hold the same IPv4 address. [PKT-5.5, 5.6]
#pragma once

#include <cstdint>
#include <mutex>

#include "keyed-hash.h"
#include "packet-fields.h"
#include "peer.h"

namespace pintail {

// As the IPv6 side has them, seen from the peer.
struct ViaEnds {
  Ip source;
  Ip destination;
  PeerId peer = -1;
  bool operator==(const ViaEnds& o) const { return peer == o.peer && source == o.source && destination == o.destination; }
};

// As the IPv4 side has them, seen from the peer. Echo: its identifier is the source port.
struct ViaTuple {
  uint32_t protocol = 0;
  uint32_t ports = 0;
  uint32_t source = 0;
  uint32_t destination = 0;
  bool operator==(const ViaTuple& o) const {
    return protocol == o.protocol && ports == o.ports && source == o.source && destination == o.destination;
  }
};

class ViaFlows {
 public:
  static constexpr uint32_t kCapacity = 4096;

  ViaFlows();
  // A packet of the peer. False: the tuple belongs to another living flow.
  bool remember(const ViaTuple& tuple, const ViaEnds& ends, uint8_t tcpFlags, uint64_t nowMs);
  // An answer: true and its ends when there is such a flow of this peer.
  bool answer(const ViaTuple& tuple, PeerId peer, uint8_t tcpFlags, uint64_t nowMs, ViaEnds& ends);
  // The tuple is to be used without translation. False: it belongs to a living flow.
  bool giveUp(const ViaTuple& tuple, uint64_t nowMs);

 private:
  static constexpr uint32_t kBuckets = 8192;
  static constexpr uint16_t kNone = 0xffff;

  struct Flow {
    ViaTuple tuple;
    ViaEnds ends;
    uint64_t usedAtMs = 0;
    bool closing = false;
    uint16_t chain = kNone;
    uint16_t newer = kNone;
    uint16_t older = kNone;
    bool isAlive(uint64_t nowMs) const;
    void use(uint8_t tcpFlags, uint64_t nowMs);
  };

  uint32_t bucketOf(const ViaTuple& tuple) const;
  uint16_t find(const ViaTuple& tuple) const;
  uint16_t add(const ViaTuple& tuple);
  void remove(uint16_t slot);
  void unchain(uint16_t slot);
  void unlink(uint16_t slot);
  void pushNewest(uint16_t slot);
  void touch(uint16_t slot);

  const KeyedHash<4> hash_;
  std::mutex mutex_;
  Flow flows_[kCapacity];
  uint16_t buckets_[kBuckets];
  uint16_t used_ = 0;
  uint16_t free_ = kNone;  // removed ones, by `chain`
  uint16_t newest_ = kNone;
  uint16_t oldest_ = kNone;
};

}  // namespace pintail
