#include "packet-filter.h"

#include <algorithm>
#include <iterator>

namespace pintail {

namespace {

constexpr uint32_t kMetadataService = 0xa9fea9fe;  // 169.254.169.254

// What holds for both directions, before any rule; true = this is the verdict.
bool preliminary(const PacketFields& p, Verdict& verdict) {
  const uint32_t d0 = p.destination.w[0];
  if (p.bytes == 0) {
    verdict = Verdict::kAccept;
  } else if (p.bytes < 20) {
    verdict = Verdict::kTooShort;
  } else if (p.protocol == kProtocolUnknown) {
    verdict = Verdict::kUnknownProtocol;
  } else if (p.v6 ? d0 >> 24 == 0xff : d0 >> 28 == 0xe) {
    verdict = Verdict::kMulticast;
  } else if (p.v6 ? d0 >> 22 == 0xfe80u >> 6 : d0 >> 16 == 0xa9fe && d0 != kMetadataService) {
    verdict = Verdict::kLinkLocal;
  } else if (p.protocol == kProtocolFragment) {
    verdict = Verdict::kAccept;
  } else {
    return false;
  }
  return true;
}

// Echo reply or error. The 18 is the reference's constant for "parameter problem"; the real 12 is not let in.
bool isIcmpAnswer(const PacketFields& p) {
  const int type = p.icmpType;
  if (p.v6) return (type == 129 && p.icmpCode == 0) || (type >= 1 && type <= 4);
  return (type == 0 && p.icmpCode == 0) || type == 3 || type == 11 || type == 18;
}

}  // namespace

PacketFilter::PacketFilter(const FilterTable* table, const PacketFilter* previous, bool jailed) {
  shieldsUp_ = table == nullptr || jailed || table->shieldsUp;
  const bool keepFlows = previous != nullptr && (!shieldsUp_ || previous->shieldsUp_);
  flows_ = keepFlows ? previous->flows_ : std::make_shared<FlowTable>();
  if (table == nullptr) return;
  for (const Prefix& prefix : table->localNets) localNets_.at(prefix) = true;
  for (const FilterTable::PeerApi& api : table->peerApi) peerApi_.at(api.address).push_back(api.port);
  if (shieldsUp_) return;
  for (const FilterRule& rule : table->rules) {
    Entries entries;
    for (const FilterRule::Destination& d : rule.destinations) {
      Entry entry{d.prefix, d.firstPort, d.lastPort, {}};
      for (uint8_t protocol : rule.protocols) entry.protocols[protocol >> 6] |= uint64_t{1} << (protocol & 63);
      entries.push_back(entry);
    }
    // Only destinations of the source's family: 0.0.0.0/0 has the bits of any IPv6 address, too. [FLT-1.5]
    const auto add = [&entries](const Prefix& source, Entries& list) {
      std::copy_if(entries.begin(), entries.end(), std::back_inserter(list),
                   [&source](const Entry& entry) { return entry.prefix.v6 == source.v6; });
    };
    for (const Prefix& prefix : rule.sources) add(prefix, bySource_.at(prefix));
    // Present even without destinations: for ICMP the source alone decides.
    for (const Prefix& prefix : rule.capabilitySources) add(prefix, byCapability_.at(prefix));
  }
}

Verdict PacketFilter::inbound(const PacketFields& p) const {
  Verdict early;
  if (preliminary(p, early)) return early;
  if (localNets_.lookup(p.v6, p.destination) == nullptr) return Verdict::kDestination;
  return allowed(p) ? Verdict::kAccept : Verdict::kAcl;
}

Verdict PacketFilter::outbound(const PacketFields& p) const {
  Verdict early;
  if (preliminary(p, early)) return early;
  remember(p);
  return Verdict::kAccept;
}

void PacketFilter::remember(const PacketFields& p) const {
  if (p.protocol == kProtocolUdp || p.protocol == kSctp) flows_->addReverse(p);
}

bool PacketFilter::isPeerApiSyn(const PacketFields& p) const {
  if (p.protocol != kProtocolTcp || !p.isSyn()) return false;
  return peerApi_.some(p.v6, p.destination, [&p](const std::vector<uint16_t>& ports) {
    return std::find(ports.begin(), ports.end(), p.destinationPort) != ports.end();
  });
}

bool PacketFilter::allowed(const PacketFields& p) const {
  if (p.isIcmp()) {
    return isIcmpAnswer(p) || matchesAddresses(p) || byCapability_.lookup(p.v6, p.source) != nullptr;
  }
  switch (p.protocol) {
    case kProtocolTcp:
      return !p.isSyn() || matchesPorts(p);
    case kProtocolUdp:
    case kSctp:
      return flows_->has(p) || matchesPorts(p);
    case kTsmp:
      return true;
    default:
      return matchesWholeProtocol(p);
  }
}

bool PacketFilter::matchesPorts(const PacketFields& p) const {
  const auto test = [&p](const Entries& entries) {
    for (const Entry& entry : entries) {
      if (p.destinationPort < entry.firstPort || p.destinationPort > entry.lastPort) continue;
      if (entry.prefix.holds(p.destination) && entry.allows(p.protocol)) return true;
    }
    return false;
  };
  return bySource_.some(p.v6, p.source, test) || byCapability_.some(p.v6, p.source, test);
}

// ICMP: any rule between the two addresses, whatever protocol and ports it names.
bool PacketFilter::matchesAddresses(const PacketFields& p) const {
  return bySource_.some(p.v6, p.source, [&p](const Entries& entries) {
    return std::any_of(entries.begin(), entries.end(), [&p](const Entry& entry) { return entry.prefix.holds(p.destination); });
  });
}

// Protocols without ports: named explicitly, and all ports allowed.
bool PacketFilter::matchesWholeProtocol(const PacketFields& p) const {
  return bySource_.some(p.v6, p.source, [&p](const Entries& entries) {
    return std::any_of(entries.begin(), entries.end(), [&p](const Entry& entry) {
      return entry.firstPort == 0 && entry.lastPort == 65535 && entry.allows(p.protocol) && entry.prefix.holds(p.destination);
    });
  });
}

}  // namespace pintail
