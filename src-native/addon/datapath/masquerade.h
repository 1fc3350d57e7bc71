// A peer that knows us by another address than our own: shared-in nodes, whose network uses ours already. What it sends to
// that address is for our own one; what we send from our own one comes from that address. [PKT-1]
#pragma once

#include <cstdint>

#include "packet-fields.h"

namespace pintail {

// At most one address of each family.
struct AddressPair {
  bool hasV4 = false;
  bool hasV6 = false;
  Ip v4;
  Ip v6;
  bool isEmpty() const { return !hasV4 && !hasV6; }
  const Ip* of(bool isV6) const { return isV6 ? (hasV6 ? &v6 : nullptr) : (hasV4 ? &v4 : nullptr); }
};

// Both change the packet, its checksums and `p`, or nothing. `seen`: what the peer calls us; `own`: what we are.
void masqueradeIn(uint8_t* packet, PacketFields& p, const AddressPair& seen, const AddressPair& own);
void masqueradeOut(uint8_t* packet, PacketFields& p, const AddressPair& seen, const AddressPair& own);

}  // namespace pintail
