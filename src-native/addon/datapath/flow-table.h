// Flows we may be answered on: 512 five-tuples, least recently used out first, no expiry by time. [FLT-4.1]
// Both directions of the packet path use it, so it has a lock of its own; TCP never comes here.
#pragma once

#include <cstdint>
#include <mutex>

#include "keyed-hash.h"
#include "packet-fields.h"

namespace pintail {

class FlowTable {
 public:
  FlowTable();
  // Remembers the flow that answers this outbound packet.
  void addReverse(const PacketFields& p);
  // Is this inbound packet an answer?
  bool has(const PacketFields& p);

 private:
  static constexpr uint32_t kCapacity = 512;
  static constexpr uint32_t kBuckets = 1024;
  static constexpr uint16_t kNone = 0xffff;

  struct Key {
    uint32_t kind = 0;   // protocol and family
    uint32_t ports = 0;  // source, destination, as seen inbound
    Ip source;
    Ip destination;
    bool operator==(const Key& o) const {
      return kind == o.kind && ports == o.ports && source == o.source && destination == o.destination;
    }
  };
  struct Flow {
    Key key;
    uint16_t chain = kNone;
    uint16_t newer = kNone;
    uint16_t older = kNone;
  };

  uint32_t bucketOf(const Key& key) const;
  uint16_t find(const Key& key, uint32_t bucket) const;
  uint16_t evict();
  void unlink(uint16_t slot);
  void pushNewest(uint16_t slot);

  const KeyedHash<10> hash_;
  std::mutex mutex_;
  Flow flows_[kCapacity];
  uint16_t buckets_[kBuckets];
  uint16_t used_ = 0;
  uint16_t newest_ = kNone;
  uint16_t oldest_ = kNone;
};

}  // namespace pintail
