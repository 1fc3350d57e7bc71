// One peer and its keypairs, as the packet threads see them. Who may change what:
//   plain members   only JavaScript's thread, holding the tables' lock exclusively
//   atomics         anybody who holds the lock at all
//   destination     of a plain device: the receiving thread, too, which follows the peer (`follow`)
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "address.h"
#include "aead.h"
#include "masquerade.h"
#include "prefix-table.h"
#include "replay-window.h"

namespace pintail {

using PeerId = int64_t;
struct Peer;

constexpr uint64_t kRejectAfterMs = 180'000;
// The protocol's limit is 2^64 − 2^13 − 1; JavaScript's numbers end at 2^53, and keys retire long before either.
constexpr uint64_t kMaxCounter = (uint64_t{1} << 53) - 1;
constexpr uint64_t kRejectAfterMessages = kMaxCounter - (1 << 13);

struct Keypair {
  Peer* peer = nullptr;
  uint32_t localIndex = 0;
  uint32_t remoteIndex = 0;
  uint64_t createdAtMs = 0;
  std::unique_ptr<Aead> aead;
  std::atomic<uint64_t> sendCounter{0};
  // Rotated out by a packet thread; JavaScript's thread frees it later.
  std::atomic<bool> dead{false};
  std::mutex windowMutex;
  ReplayWindow window;

  // A packet thread may have looked at the clock before these keys were made.
  bool isTooOld(uint64_t nowMs) const { return nowMs > createdAtMs && nowMs - createdAtMs >= kRejectAfterMs; }
};

enum Activity : uint8_t { kSentData = 1, kSentAny = 2, kReceivedData = 4, kReceivedAny = 8 };

struct Destination {
  bool hasUdp = false;
  bool relay = false;
  int32_t vni = -1;  // below zero: no Geneve header
  Address udp;
};

struct Peer {
  PeerId id = 0;
  bool jailed = false;
  std::vector<Prefix> allowed;
  // What it calls us, where that is not our own address.
  bool hasMasquerade = false;
  AddressPair masquerade;
  // Its own IPv4 address, for what it sends through 4via6; 0 = none.
  uint32_t v4 = 0;
  Destination destination;

  std::vector<std::unique_ptr<Keypair>> keypairs;  // owner of all that the slots name, and of dead ones
  std::atomic<Keypair*> previous{nullptr};
  std::atomic<Keypair*> current{nullptr};
  std::atomic<Keypair*> next{nullptr};

  std::atomic<uint64_t> rxBytes{0};
  std::atomic<uint64_t> txBytes{0};
  std::atomic<uint64_t> rxPackets{0};
  std::atomic<uint64_t> txPackets{0};

  // Since the last report.
  std::atomic<uint8_t> activity{0};
  enum class From : uint8_t { kNowhere, kDirect, kRelay };
  std::mutex fromMutex;
  From from = From::kNowhere;
  Address fromAddress;

  bool owns(bool v6, const Ip& source) const {
    for (const Prefix& prefix : allowed) {
      if (prefix.v6 == v6 && prefix.holds(source)) return true;
    }
    return false;
  }
  void heardFrom(const Address* address) {
    std::lock_guard<std::mutex> lock(fromMutex);
    from = address == nullptr ? From::kRelay : From::kDirect;
    if (address != nullptr) fromAddress = *address;
  }
  // Of a plain device: one packet thread moves the direct address, under the mutex, and the others ask under it, too.
  void follow(const Address& address) {
    if (destination.hasUdp && destination.udp == address) return;  // nobody else changes it while the lock is held
    std::lock_guard<std::mutex> lock(fromMutex);
    destination.hasUdp = true;
    destination.udp = address;
  }
  Destination followedDestination() {
    std::lock_guard<std::mutex> lock(fromMutex);
    return destination;
  }
};

}  // namespace pintail
