#include "flow-table.h"

#include <algorithm>

namespace pintail {

FlowTable::FlowTable() { std::fill(buckets_, buckets_ + kBuckets, kNone); }

uint32_t FlowTable::bucketOf(const Key& key) const {
  const Ip& s = key.source;
  const Ip& d = key.destination;
  return hash_({key.kind, key.ports, s.w[0], s.w[1], s.w[2], s.w[3], d.w[0], d.w[1], d.w[2], d.w[3]}) & (kBuckets - 1);
}

void FlowTable::addReverse(const PacketFields& p) {
  const Key key{static_cast<uint32_t>(p.protocol) << 8 | (p.v6 ? 6u : 4u),
                static_cast<uint32_t>(p.destinationPort) << 16 | p.sourcePort, p.destination, p.source};
  const uint32_t bucket = bucketOf(key);
  std::lock_guard<std::mutex> lock(mutex_);
  uint16_t slot = find(key, bucket);
  if (slot == kNone) {
    slot = used_ < kCapacity ? used_++ : evict();
    flows_[slot].key = key;
    flows_[slot].chain = buckets_[bucket];
    buckets_[bucket] = slot;
  } else {
    if (slot == newest_) return;
    unlink(slot);
  }
  pushNewest(slot);
}

bool FlowTable::has(const PacketFields& p) {
  const Key key{static_cast<uint32_t>(p.protocol) << 8 | (p.v6 ? 6u : 4u),
                static_cast<uint32_t>(p.sourcePort) << 16 | p.destinationPort, p.source, p.destination};
  const uint32_t bucket = bucketOf(key);
  std::lock_guard<std::mutex> lock(mutex_);
  const uint16_t slot = find(key, bucket);
  if (slot == kNone) return false;
  if (slot != newest_) {
    unlink(slot);
    pushNewest(slot);
  }
  return true;
}

uint16_t FlowTable::find(const Key& key, uint32_t bucket) const {
  for (uint16_t slot = buckets_[bucket]; slot != kNone; slot = flows_[slot].chain) {
    if (flows_[slot].key == key) return slot;
  }
  return kNone;
}

uint16_t FlowTable::evict() {
  const uint16_t slot = oldest_;
  unlink(slot);
  uint16_t* link = &buckets_[bucketOf(flows_[slot].key)];
  while (*link != slot) link = &flows_[*link].chain;
  *link = flows_[slot].chain;
  return slot;
}

void FlowTable::unlink(uint16_t slot) {
  const Flow& flow = flows_[slot];
  (flow.newer == kNone ? newest_ : flows_[flow.newer].older) = flow.older;
  (flow.older == kNone ? oldest_ : flows_[flow.older].newer) = flow.newer;
}

void FlowTable::pushNewest(uint16_t slot) {
  flows_[slot].newer = kNone;
  flows_[slot].older = newest_;
  if (newest_ != kNone) flows_[newest_].newer = slot;
  newest_ = slot;
  if (oldest_ == kNone) oldest_ = slot;
}

}  // namespace pintail
