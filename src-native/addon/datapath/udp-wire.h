// Sends shipments on the two UDP sockets, joined where the kernel can cut them (UDP_SEGMENT). Full queues are waited for
// a moment, then dropped: no queue of our own. Any thread may send.
#pragma once

#include <atomic>
#include <cstdint>

#include "outbox.h"
#include "up.h"

namespace pintail {

class UdpWire final : public Wire {
 public:
  UdpWire(Up& up, Counters& counters) : up_(up), counters_(counters) {}
  // Only while no packet thread runs; below zero = no such socket.
  void use(int v4, int v6);
  bool hasFamily(bool v6) const override { return sockets_[v6].fd >= 0; }
  void send(Shipment* shipments, uint32_t count) override;

 private:
  struct Socket {
    int fd = -1;
    std::atomic<bool> joins{true};
  };
  uint32_t sendRun(Socket& socket, Shipment* shipments, uint32_t count);
  void sendSingly(Socket& socket, const Shipment& shipment);
  void failed(const Shipment& shipment, uint32_t datagrams, int error);

  Up& up_;
  Counters& counters_;
  Socket sockets_[2];
};

}  // namespace pintail
