// The packet filter: may this packet pass? Verdicts as docs/rules/filter.md numbers them; `src-native/packet-filter.ts` is
// the oracle. Immutable once built, except for the flows it shares with its predecessor.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "flow-table.h"
#include "packet-fields.h"
#include "prefix-table.h"

namespace pintail {

enum class Verdict : uint8_t { kAccept, kTooShort, kUnknownProtocol, kMulticast, kLinkLocal, kDestination, kAcl };

// What a rule table looks like once unpacked (`unpack.cpp`).
struct FilterRule {
  std::vector<Prefix> sources;
  std::vector<Prefix> capabilitySources;
  struct Destination {
    Prefix prefix;
    uint16_t firstPort;
    uint16_t lastPort;
  };
  std::vector<Destination> destinations;
  std::vector<uint8_t> protocols;
};

struct FilterTable {
  std::vector<FilterRule> rules;
  std::vector<Prefix> localNets;
  struct PeerApi {
    Prefix address;
    uint16_t port;
  };
  std::vector<PeerApi> peerApi;
  bool shieldsUp = true;
};

class PacketFilter {
 public:
  // Without a table: nothing comes in. `previous` hands its flows over, except that raising the shields forgets them.
  explicit PacketFilter(const FilterTable* table = nullptr, const PacketFilter* previous = nullptr, bool jailed = false);

  bool shieldsUp() const { return shieldsUp_; }
  Verdict inbound(const PacketFields& p) const;
  Verdict outbound(const PacketFields& p) const;
  void remember(const PacketFields& p) const;
  bool isPeerApiSyn(const PacketFields& p) const;

 private:
  // One destination of one rule, for all protocols that rule names.
  struct Entry {
    Prefix prefix;
    uint16_t firstPort;
    uint16_t lastPort;
    std::array<uint64_t, 4> protocols;
    bool allows(int protocol) const { return (protocols[static_cast<uint32_t>(protocol) >> 6] >> (protocol & 63) & 1) != 0; }
  };
  using Entries = std::vector<Entry>;

  bool allowed(const PacketFields& p) const;
  bool matchesPorts(const PacketFields& p) const;
  bool matchesAddresses(const PacketFields& p) const;
  bool matchesWholeProtocol(const PacketFields& p) const;

  bool shieldsUp_ = true;
  std::shared_ptr<FlowTable> flows_;
  PrefixTable<bool> localNets_;
  PrefixTable<Entries> bySource_;
  PrefixTable<Entries> byCapability_;
  PrefixTable<std::vector<uint16_t>> peerApi_;
};

}  // namespace pintail
