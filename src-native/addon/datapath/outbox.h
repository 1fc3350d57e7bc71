// Outgoing datagrams of one thread. Those to one address lie behind each other, so that the kernel takes up to 64 of them
// as one (UDP_SEGMENT). A Wire sends them: the sockets, or a list in tests.
#pragma once

#include <cstdint>
#include <memory>

#include "address.h"

namespace pintail {

// One send: equal datagrams to one address, the last may be shorter.
struct Shipment {
  Address to;
  uint8_t* bytes;
  uint32_t size;
  uint32_t segment;
  uint32_t count;
  bool closed;
};

class Wire {
 public:
  Wire() = default;
  virtual ~Wire() = default;
  Wire(const Wire&) = delete;
  Wire& operator=(const Wire&) = delete;
  virtual bool hasFamily(bool v6) const = 0;
  virtual void send(Shipment* shipments, uint32_t count) = 0;
};

class Outbox {
 public:
  static constexpr uint32_t kShipments = 16;
  static constexpr uint32_t kShipmentBytes = 65536;

  explicit Outbox(Wire& wire);
  // Room for one datagram, which the caller fills before the next call; nullptr when that cannot be sent at all.
  uint8_t* reserve(const Address& to, uint32_t size);
  // Takes the last reserve() back: what was to go there cannot.
  void cancel();
  void flush();
  // Sends all but the newest shipment while that one may still grow: for callers who are not done yet.
  void flushFull();
  uint32_t waitingBytes() const { return waiting_; }

 private:
  bool canGrow(const Shipment& shipment, uint32_t size) const;

  Wire& wire_;
  std::unique_ptr<uint8_t[]> area_;
  uint8_t* places_[kShipments];
  Shipment shipments_[kShipments];
  uint32_t used_ = 0;
  uint32_t waiting_ = 0;
  Shipment* last_ = nullptr;
  uint32_t lastSize_ = 0;
};

}  // namespace pintail
