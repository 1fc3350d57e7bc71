// Verdicts of the compiled filter against the rules read one by one, for tables and packets of few enough addresses, ports
// and protocols that they meet. A second table may replace the first, as a new network map does.
//
// Input: a table · steps of u8 kind and a packet's fields, or a new table.
#include "../addon/datapath/packet-filter.h"

#include <list>

#include "fuzz.h"

using namespace pintail;

namespace {

Ip addressOf(bool v6, uint8_t n) {
  Ip ip;
  // Multicast and link-local ones are among them.
  constexpr uint32_t kFirst4[] = {0x64400000, 0x0a000000, 0xa9fe0000, 0xe0000000, 0xa9fea900};
  constexpr uint32_t kFirst6[] = {0xfd7a0000, 0x0a000000, 0xfe800000, 0xff020000, 0x64400000};
  ip.w[0] = v6 ? kFirst6[n >> 5 & 3] : kFirst4[n >> 5 & 3];
  if (v6) ip.w[3] = n & 31;
  else ip.w[0] |= n == 0x5f ? 0xa9fe : n & 31;
  return ip;
}

Prefix prefixOf(fuzz::Input& in) {
  constexpr uint8_t kBits4[] = {32, 31, 28, 16, 8, 0};
  constexpr uint8_t kBits6[] = {128, 127, 124, 16, 32, 0};
  const uint8_t kind = in.u8();
  const bool v6 = (kind & 1) != 0;
  return {v6, v6 ? kBits6[(kind >> 1) % 6] : kBits4[(kind >> 1) % 6], addressOf(v6, in.u8())};
}

std::vector<Prefix> prefixesOf(fuzz::Input& in) {
  std::vector<Prefix> list(in.below(4));
  for (Prefix& prefix : list) prefix = prefixOf(in);
  return list;
}

constexpr uint8_t kProtocols[] = {1, 6, 17, 58, 99, 132, 2, 47, 254, 63, 64, 128};

FilterTable tableOf(fuzz::Input& in) {
  FilterTable table;
  table.shieldsUp = in.u8() % 8 == 1;
  table.localNets = prefixesOf(in);
  table.peerApi.resize(in.below(3));
  for (FilterTable::PeerApi& api : table.peerApi) {
    const uint8_t kind = in.u8();
    api.address = {(kind & 1) != 0, (kind & 1) != 0 ? 128u : 32u, addressOf((kind & 1) != 0, in.u8())};
    api.port = in.u8();
  }
  table.rules.resize(in.below(4));
  for (FilterRule& rule : table.rules) {
    rule.sources = prefixesOf(in);
    rule.capabilitySources = in.u8() % 4 == 1 ? prefixesOf(in) : std::vector<Prefix>{};
    rule.destinations.resize(in.below(3));
    for (FilterRule::Destination& d : rule.destinations) {
      d.prefix = prefixOf(in);
      d.firstPort = in.u8() & 7;
      d.lastPort = (in.u8() & 1) != 0 ? 65535 : static_cast<uint16_t>(d.firstPort + 2);
    }
    rule.protocols.resize(in.below(4));
    for (uint8_t& protocol : rule.protocols) protocol = kProtocols[in.below(sizeof kProtocols)];
  }
  return table;
}

PacketFields fieldsOf(fuzz::Input& in) {
  PacketFields p;
  const uint8_t kind = in.u8();
  p.v6 = (kind & 1) != 0;
  p.bytes = p.totalBytes = 60;
  p.source = addressOf(p.v6, in.u8());
  p.destination = addressOf(p.v6, in.u8());
  const uint32_t which = kind >> 1;
  p.protocol = which == 60 ? kProtocolFragment : which == 61 ? kProtocolUnknown : kProtocols[which % sizeof kProtocols];
  if (p.protocol == kProtocolTcp || p.protocol == kProtocolUdp || p.protocol == kSctp) {
    p.sourcePort = in.u8() & 7;
    p.destinationPort = in.u8() & 7;
  }
  if (p.protocol == kProtocolTcp) p.tcpFlags = in.u8();
  if (p.isIcmp()) {
    p.icmpType = in.u8();
    p.icmpCode = in.u8() & 1;
  }
  return p;
}

bool holds(const Prefix& prefix, bool v6, const Ip& ip) {
  if (prefix.v6 != v6) return false;
  for (uint32_t bit = 0; bit < prefix.bits; bit++) {
    const uint32_t mask = 0x80000000u >> (bit % 32);
    if ((prefix.ip.w[bit / 32] & mask) != (ip.w[bit / 32] & mask)) return false;
  }
  return true;
}

bool any(const std::vector<Prefix>& list, bool v6, const Ip& ip) {
  for (const Prefix& prefix : list) {
    if (holds(prefix, v6, ip)) return true;
  }
  return false;
}

// docs/rules/filter.md, read one rule at a time.
class Model {
 public:
  Model() { table_.shieldsUp = true; }

  void use(const FilterTable& table) {
    if (table.shieldsUp && !table_.shieldsUp) flows_.clear();
    table_ = table;
  }

  Verdict inbound(const PacketFields& p) {
    Verdict early;
    if (preliminary(p, early)) return early;
    if (!any(table_.localNets, p.v6, p.destination)) return Verdict::kDestination;
    return allowed(p) ? Verdict::kAccept : Verdict::kAcl;
  }

  Verdict outbound(const PacketFields& p) {
    Verdict early;
    if (preliminary(p, early)) return early;
    if (p.protocol == kProtocolUdp || p.protocol == kSctp) {
      PacketFields answer = p;
      std::swap(answer.source, answer.destination);
      std::swap(answer.sourcePort, answer.destinationPort);
      if (!known(answer)) flows_.push_front(answer);
    }
    return Verdict::kAccept;
  }

  bool isPeerApiSyn(const PacketFields& p) const {
    if (p.protocol != kProtocolTcp || (p.tcpFlags & 0x12) != 0x02) return false;
    for (const FilterTable::PeerApi& api : table_.peerApi) {
      if (holds(api.address, p.v6, p.destination) && api.port == p.destinationPort) return true;
    }
    return false;
  }

 private:
  static bool preliminary(const PacketFields& p, Verdict& verdict) {
    const uint32_t first = p.destination.w[0];
    if (p.protocol == kProtocolUnknown) verdict = Verdict::kUnknownProtocol;
    else if (p.v6 ? first >> 24 == 0xff : (first >= 0xe0000000 && first <= 0xefffffff)) verdict = Verdict::kMulticast;
    else if (p.v6 ? (first & 0xffc00000) == 0xfe800000 : (first & 0xffff0000) == 0xa9fe0000 && first != 0xa9fea9fe)
      verdict = Verdict::kLinkLocal;
    else if (p.protocol == kProtocolFragment) verdict = Verdict::kAccept;
    else return false;
    return true;
  }

  bool known(const PacketFields& p) {
    for (const PacketFields& f : flows_) {
      if (f.v6 == p.v6 && f.protocol == p.protocol && f.source == p.source && f.destination == p.destination &&
          f.sourcePort == p.sourcePort && f.destinationPort == p.destinationPort) {
        return true;
      }
    }
    return false;
  }

  // Whether a rule lets p's source reach p's destination, for destinations that `fits` likes.
  template <typename Fits>
  bool matches(const PacketFields& p, bool capabilities, Fits fits) const {
    if (table_.shieldsUp) return false;
    for (const FilterRule& rule : table_.rules) {
      if (!any(rule.sources, p.v6, p.source) && !(capabilities && any(rule.capabilitySources, p.v6, p.source))) continue;
      bool names = false;
      for (uint8_t protocol : rule.protocols) names = names || protocol == p.protocol;
      for (const FilterRule::Destination& d : rule.destinations) {
        if (holds(d.prefix, p.v6, p.destination) && fits(d, names)) return true;
      }
    }
    return false;
  }

  bool hasCapability(const PacketFields& p) const {
    if (table_.shieldsUp) return false;
    for (const FilterRule& rule : table_.rules) {
      if (any(rule.capabilitySources, p.v6, p.source)) return true;
    }
    return false;
  }

  bool allowed(const PacketFields& p) {
    using D = FilterRule::Destination;
    const auto ports = [&p](const D& d, bool names) {
      return names && p.destinationPort >= d.firstPort && p.destinationPort <= d.lastPort;
    };
    if (p.isIcmp()) {
      const int t = p.icmpType;
      const bool answer = p.v6 ? (t == 129 && p.icmpCode == 0) || (t >= 1 && t <= 4)
                               : (t == 0 && p.icmpCode == 0) || t == 3 || t == 11 || t == 18;
      return answer || matches(p, false, [](const D&, bool) { return true; }) || hasCapability(p);
    }
    if (p.protocol == kProtocolTcp) return (p.tcpFlags & 0x12) != 0x02 || matches(p, true, ports);
    if (p.protocol == kProtocolUdp || p.protocol == kSctp) return known(p) || matches(p, true, ports);
    if (p.protocol == kTsmp) return true;
    return matches(p, false, [](const D& d, bool names) { return names && d.firstPort == 0 && d.lastPort == 65535; });
  }

  FilterTable table_;
  std::list<PacketFields> flows_;  // fewer than the table forgets at
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Input in(data, size);
  Model model;
  FilterTable table = tableOf(in);
  model.use(table);
  auto filter = std::make_unique<PacketFilter>(&table);
  for (uint32_t steps = 0; !in.isEmpty() && steps < 200; steps++) {
    const uint8_t kind = in.u8();
    if (kind == 255) {
      table = tableOf(in);
      model.use(table);
      filter = std::make_unique<PacketFilter>(&table, filter.get());
      continue;
    }
    const PacketFields p = fieldsOf(in);
    if ((kind & 1) != 0) {
      CHECK(filter->outbound(p) == model.outbound(p));
    } else {
      CHECK(filter->inbound(p) == model.inbound(p));
      CHECK(filter->isPeerApiSyn(p) == model.isPeerApiSyn(p));
    }
  }
  return 0;
}
