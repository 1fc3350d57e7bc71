#include "up.h"

#include <algorithm>

namespace pintail {

namespace {
constexpr size_t kHead = 60;

void put(uint8_t* at, const void* value, size_t size) { memcpy(at, value, size); }
}  // namespace

Up::Source Up::sourceOf(UpKind kind) {
  switch (kind) {
    case UpKind::kDatagram:
      return Source::kStrangers;
    case UpKind::kTsmpMessage:
    case UpKind::kEchoReply:
      return Source::kPeers;
    default:
      return Source::kHost;
  }
}

void Up::append(const UpRecord& record) {
  const size_t length = (kHead + record.size + 7) & ~size_t{7};
  const size_t start = waiting_.size();
  waiting_.resize(start + length);
  uint8_t* at = waiting_.data() + start;
  const uint32_t length32 = static_cast<uint32_t>(length);
  const double peer = static_cast<double>(record.peer);
  put(at, &length32, 4);
  at[4] = static_cast<uint8_t>(record.kind);
  at[5] = record.flags;
  put(at + 8, &peer, 8);
  put(at + 16, &record.localIndex, 4);
  if (record.address != nullptr) put(at + 20, record.address->bytes, Address::kSize);
  put(at + 48, &record.counter, 8);
  put(at + 56, &record.size, 4);
  if (record.size > 0) put(at + kHead, record.bytes, record.size);
}

void Up::push(const UpRecord& record) {
  bool wake = false;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (record.kind == UpKind::kSendFailed) {
      // A dead path fails with every packet; once a batch is enough.
      if (hasFailed_ && lastFailed_ == *record.address) return;
      lastFailed_ = *record.address;
      hasFailed_ = true;
    }
    if (record.kind == UpKind::kHostTrouble) {
      // So does an interface that is down; JavaScript looks at it once.
      if (hasTrouble_) return;
      hasTrouble_ = true;
    }
    const size_t source = static_cast<size_t>(sourceOf(record.kind));
    Share& share = shares_[source];
    const Share& most = kMost[source];
    // That a session is confirmed is small and rare, and must not be lost.
    if ((share.bytes + record.size > most.bytes || share.records >= most.records) && record.kind != UpKind::kConfirmed) {
      counters_.drop(Drop::kUpQueueFull);
      return;
    }
    share.bytes += record.size;
    share.records++;
    append(record);
    wake = !announced_;
    announced_ = true;
  }
  if (wake && wake_) wake_();
}

void Up::note(Peer& peer, uint8_t activity, uint64_t nowMs) {
  if ((peer.activity.load(std::memory_order_relaxed) & activity) == activity) return;
  if (peer.activity.fetch_or(activity) != 0) return;
  std::lock_guard<std::mutex> lock(mutex_);
  if (active_.empty()) notedAtMs_.store(nowMs, std::memory_order_relaxed);
  active_.push_back(&peer);
  hasActivity_.store(true, std::memory_order_relaxed);
}

int Up::announceWithinMs(uint64_t nowMs) const {
  if (!hasActivity()) return -1;
  const auto since = [nowMs](const std::atomic<uint64_t>& thenMs) {
    const uint64_t then = thenMs.load(std::memory_order_relaxed);
    return nowMs > then ? nowMs - then : 0;
  };
  const uint64_t noted = since(notedAtMs_);
  if (noted >= 2 * kActivityMs) return 0;
  return static_cast<int>(since(takenAtMs_) >= kActivityMs ? kSilenceMs : 2 * kActivityMs - noted);
}

void Up::announce() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (active_.empty() || announced_) return;
    announced_ = true;
  }
  if (wake_) wake_();
}

void Up::forget(Peer& peer) {
  std::lock_guard<std::mutex> lock(mutex_);
  active_.erase(std::remove(active_.begin(), active_.end(), &peer), active_.end());
  hasActivity_.store(!active_.empty(), std::memory_order_relaxed);
}

bool Up::take(std::vector<uint8_t>& records, uint64_t nowMs) {
  std::lock_guard<std::mutex> lock(mutex_);
  announced_ = false;
  hasFailed_ = false;
  hasTrouble_ = false;
  for (Peer* peer : active_) {
    UpRecord record{UpKind::kActivity};
    record.flags = peer->activity.exchange(0);
    record.peer = peer->id;
    const Keypair* keys = peer->current.load();
    if (keys != nullptr) {
      record.localIndex = keys->localIndex;
      record.counter = static_cast<double>(keys->sendCounter.load());
    }
    std::lock_guard<std::mutex> fromLock(peer->fromMutex);
    record.flags = static_cast<uint8_t>(record.flags | static_cast<uint8_t>(peer->from) << 4);
    record.address = &peer->fromAddress;
    append(record);
  }
  if (!active_.empty()) takenAtMs_.store(nowMs, std::memory_order_relaxed);
  active_.clear();
  hasActivity_.store(false, std::memory_order_relaxed);
  for (Share& share : shares_) share = {};
  records.clear();
  records.swap(waiting_);
  return !records.empty();
}

}  // namespace pintail
