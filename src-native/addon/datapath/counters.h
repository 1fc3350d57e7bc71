// Why packets were dropped and what went wrong below us, counted. Names are those of the twin; JavaScript sees them all.
#pragma once

#include <atomic>
#include <cstdint>

namespace pintail {

enum class Drop : uint8_t {
  kInShort,
  kInUnknownIndex,
  kInKeypairExpired,
  kInDecrypt,
  kInCounterRange,
  kInReplayOld,
  kInReplaySeen,
  kInIpHeader,
  kInSource,
  kInTooShort,
  kInUnknownProtocol,
  kInMulticast,
  kInLinkLocal,
  kInDestination,
  kInAcl,
  kInOwnDisco,
  kInViaFragment,
  kInViaUnsupported,
  kInViaTarget,
  kInViaSource,
  kInViaConflict,
  kInNoInterface,
  kInInterfaceDown,
  kInTooLong,
  kInTooLongDatagram,
  kInSocketOverflow,
  kOutTooShort,
  kOutUnknownProtocol,
  kOutMulticast,
  kOutLinkLocal,
  kOutTsmp,
  kOutOwnDisco,
  kOutViaFragment,
  kOutViaOptions,
  kOutNoRoute,
  kOutNoPath,
  kOutQueueFull,
  kNoSocket,
  kTooLong,
  kUpQueueFull,
  kCount,
};

constexpr const char* kDropNames[] = {
    "in-short",
    "in-unknown-index",
    "in-keypair-expired",
    "in-decrypt",
    "in-counter-range",
    "in-replay-old",
    "in-replay-seen",
    "in-ip-header",
    "in-source",
    "in-too_short",
    "in-unknown_protocol",
    "in-multicast",
    "in-link_local_unicast",
    "in-destination",
    "in-acl",
    "in-own-disco",
    "in-via-fragment",
    "in-via-unsupported",
    "in-via-target",
    "in-via-source",
    "in-via-conflict",
    "in-no-interface",
    "in-interface-down",
    "in-too-long",
    "in-too-long-datagram",
    "in-socket-overflow",
    "out-too_short",
    "out-unknown_protocol",
    "out-multicast",
    "out-link_local_unicast",
    "out-tsmp",
    "out-own-disco",
    "out-via-fragment",
    "out-via-options",
    "out-no-route",
    "out-no-path",
    "out-queue-full",
    "no-socket",
    "too-long",
    "up-queue-full",
};
static_assert(sizeof kDropNames / sizeof *kDropNames == static_cast<size_t>(Drop::kCount));

// Trouble that is survived.
enum class Fault : uint8_t {
  kOffloadHeader,   // a packet of the interface whose virtio header does not fit it
  kSendOffloadOff,  // EIO on a joined send: the driver cannot, so never again on that socket
  kSendSplit,       // a joined send was refused for its size and went out in single datagrams
  kHostWrite,       // the interface refused packets
  kHostJoinsOff,    // it refused a joined packet: from now on one by one
  kHostRead,        // reading the interface failed
  kReceive,         // a socket answered with an error
  kSeal,            // the cipher refused
  kCount,
};

constexpr const char* kFaultNames[] = {"offload-header", "send-offload-off", "send-split", "host-write", "host-joins-off", "host-read", "receive", "seal"};
static_assert(sizeof kFaultNames / sizeof *kFaultNames == static_cast<size_t>(Fault::kCount));

class Counters {
 public:
  void drop(Drop reason, uint64_t packets = 1) { drops_[static_cast<size_t>(reason)].fetch_add(packets, std::memory_order_relaxed); }
  void fault(Fault what) { faults_[static_cast<size_t>(what)].fetch_add(1, std::memory_order_relaxed); }
  uint64_t drops(size_t reason) const { return drops_[reason].load(std::memory_order_relaxed); }
  uint64_t faults(size_t what) const { return faults_[what].load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> drops_[static_cast<size_t>(Drop::kCount)] = {};
  std::atomic<uint64_t> faults_[static_cast<size_t>(Fault::kCount)] = {};
};

}  // namespace pintail
