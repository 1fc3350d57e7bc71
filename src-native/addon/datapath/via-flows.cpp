#include "via-flows.h"

#include <algorithm>

namespace pintail {

namespace {

// How long silence means that a flow still holds its tuple. [RFC 5382 REQ-5, RFC 4787 REQ-5, RFC 5508 REQ-2]
constexpr uint64_t kTcpMs = 7'440'000;
constexpr uint64_t kTcpClosingMs = 240'000;
constexpr uint64_t kUdpMs = 300'000;
constexpr uint64_t kEchoMs = 60'000;

constexpr uint8_t kFinFlag = 0x01;
constexpr uint8_t kSynFlag = 0x02;
constexpr uint8_t kRstFlag = 0x04;

}  // namespace

ViaFlows::ViaFlows() { std::fill(buckets_, buckets_ + kBuckets, kNone); }

bool ViaFlows::Flow::isAlive(uint64_t nowMs) const {
  const uint64_t limit = tuple.protocol == kProtocolUdp   ? kUdpMs
                         : tuple.protocol != kProtocolTcp ? kEchoMs
                         : closing                        ? kTcpClosingMs
                                                          : kTcpMs;
  return nowMs < usedAtMs + limit;
}

void ViaFlows::Flow::use(uint8_t tcpFlags, uint64_t nowMs) {
  usedAtMs = std::max(usedAtMs, nowMs);
  if ((tcpFlags & kSynFlag) != 0) closing = false;
  if ((tcpFlags & (kFinFlag | kRstFlag)) != 0) closing = true;
}

bool ViaFlows::remember(const ViaTuple& tuple, const ViaEnds& ends, uint8_t tcpFlags, uint64_t nowMs) {
  std::lock_guard<std::mutex> lock(mutex_);
  uint16_t slot = find(tuple);
  if (slot == kNone) {
    slot = add(tuple);
    flows_[slot].ends = ends;
  } else {
    Flow& flow = flows_[slot];
    if (!(flow.ends == ends)) {
      if (flow.isAlive(nowMs)) return false;
      flow.ends = ends;
      flow.closing = false;
    }
    touch(slot);
  }
  flows_[slot].use(tcpFlags, nowMs);
  return true;
}

bool ViaFlows::answer(const ViaTuple& tuple, PeerId peer, uint8_t tcpFlags, uint64_t nowMs, ViaEnds& ends) {
  std::lock_guard<std::mutex> lock(mutex_);
  const uint16_t slot = find(tuple);
  if (slot == kNone || flows_[slot].ends.peer != peer) return false;
  flows_[slot].use(tcpFlags, nowMs);
  touch(slot);
  ends = flows_[slot].ends;
  return true;
}

bool ViaFlows::giveUp(const ViaTuple& tuple, uint64_t nowMs) {
  std::lock_guard<std::mutex> lock(mutex_);
  const uint16_t slot = find(tuple);
  if (slot == kNone) return true;
  if (flows_[slot].isAlive(nowMs)) return false;
  remove(slot);
  return true;
}

uint32_t ViaFlows::bucketOf(const ViaTuple& tuple) const {
  return hash_({tuple.protocol, tuple.ports, tuple.source, tuple.destination}) & (kBuckets - 1);
}

uint16_t ViaFlows::find(const ViaTuple& tuple) const {
  uint16_t slot = buckets_[bucketOf(tuple)];
  while (slot != kNone && !(flows_[slot].tuple == tuple)) slot = flows_[slot].chain;
  return slot;
}

uint16_t ViaFlows::add(const ViaTuple& tuple) {
  if (free_ == kNone && used_ == kCapacity) remove(oldest_);
  uint16_t slot = free_;
  if (slot != kNone) {
    free_ = flows_[slot].chain;
  } else {
    slot = used_++;
  }
  uint16_t& bucket = buckets_[bucketOf(tuple)];
  flows_[slot] = {};
  flows_[slot].tuple = tuple;
  flows_[slot].chain = bucket;
  bucket = slot;
  pushNewest(slot);
  return slot;
}

void ViaFlows::remove(uint16_t slot) {
  unlink(slot);
  unchain(slot);
  flows_[slot].chain = free_;
  free_ = slot;
}

void ViaFlows::unchain(uint16_t slot) {
  uint16_t* link = &buckets_[bucketOf(flows_[slot].tuple)];
  while (*link != slot) link = &flows_[*link].chain;
  *link = flows_[slot].chain;
}

void ViaFlows::unlink(uint16_t slot) {
  const Flow& flow = flows_[slot];
  (flow.newer == kNone ? newest_ : flows_[flow.newer].older) = flow.older;
  (flow.older == kNone ? oldest_ : flows_[flow.older].newer) = flow.newer;
}

void ViaFlows::pushNewest(uint16_t slot) {
  flows_[slot].newer = kNone;
  flows_[slot].older = newest_;
  if (newest_ != kNone) flows_[newest_].newer = slot;
  newest_ = slot;
  if (oldest_ == kNone) oldest_ = slot;
}

void ViaFlows::touch(uint16_t slot) {
  if (slot == newest_) return;
  unlink(slot);
  pushNewest(slot);
}

}  // namespace pintail
