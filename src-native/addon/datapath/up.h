// What goes up to JavaScript: records in one buffer, written by any thread, taken in batches. `native-events.ts` reads them.
//
//   0 u32 length of the record · 4 u8 kind · 5 u8 flags · 8 f64 peer · 16 u32 local index · 20 28 address
//  48 f64 counter · 56 u32 length of the bytes · 60 bytes · padding to 8
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <vector>

#include "address.h"
#include "counters.h"
#include "peer.h"

namespace pintail {

enum class UpKind : uint8_t {
  kActivity = 1,
  kConfirmed,
  kDatagram,
  kToRelay,
  kNoSession,
  kTsmpMessage,
  kEchoReply,
  kLocal,
  kSendFailed,
  kHostTrouble,
};

struct UpRecord {
  UpKind kind;
  uint8_t flags = 0;
  PeerId peer = -1;
  uint32_t localIndex = 0;
  const Address* address = nullptr;
  double counter = 0;
  const uint8_t* bytes = nullptr;
  uint32_t size = 0;
};

class Up {
 public:
  explicit Up(Counters& counters) : counters_(counters) {}

  // `wake` is called, from any thread, when something waits and nothing has been said since the last take(): at once for
  // records, by announce() for activity alone.
  void onWake(std::function<void()> wake) { wake_ = std::move(wake); }
  void push(const UpRecord& record);
  // Adds to the peer's activity; the report is made when JavaScript takes it.
  void note(Peer& peer, uint8_t activity, uint64_t nowMs);
  void forget(Peer& peer);
  // Mere activity can wait, packets cannot: JavaScript is not woken where it would compete with them for a processor, but in a
  // short silence, once in kActivityMs; without one twice that late. A packet thread asks before it sleeps for how long at
  // most (-1: for ever), and calls announce() when nothing came in that time, or the answer was 0.
  int announceWithinMs(uint64_t nowMs) const;
  void announce();
  bool hasActivity() const { return hasActivity_.load(std::memory_order_relaxed); }
  // Everything that waits, activity last.
  bool take(std::vector<uint8_t>& records, uint64_t nowMs);

 private:
  // Who makes things wait. Each has a share of its own, so that none keeps out the others' – a stranger's noise the packets of
  // this host, those the handshakes – and JavaScript is never handed more at once than it gets through in a moment.
  enum class Source : uint8_t { kStrangers, kPeers, kHost, kCount };
  struct Share {
    size_t bytes;
    uint32_t records;
  };
  static constexpr Share kMost[] = {{1 << 20, 4096}, {256 << 10, 1024}, {8 << 20, 8192}};
  static_assert(sizeof kMost / sizeof *kMost == static_cast<size_t>(Source::kCount));
  static Source sourceOf(UpKind kind);
  static constexpr uint64_t kActivityMs = 50;
  static constexpr uint64_t kSilenceMs = 3;
  void append(const UpRecord& record);

  Counters& counters_;
  std::function<void()> wake_;
  std::mutex mutex_;
  std::vector<uint8_t> waiting_;
  Share shares_[static_cast<size_t>(Source::kCount)] = {};
  std::vector<Peer*> active_;
  Address lastFailed_;
  bool hasFailed_ = false;
  bool hasTrouble_ = false;
  bool announced_ = false;
  std::atomic<bool> hasActivity_{false};
  std::atomic<uint64_t> notedAtMs_{0};
  std::atomic<uint64_t> takenAtMs_{0};
};

}  // namespace pintail
