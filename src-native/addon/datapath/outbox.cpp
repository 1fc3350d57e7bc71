#include "outbox.h"

#include <new>

namespace pintail {

namespace {
constexpr uint32_t kMaxSegments = 64;
constexpr uint32_t kMaxSendBytes = 65507;  // what an IPv4 datagram can hold
}  // namespace

Outbox::Outbox(Wire& wire) : wire_(wire), area_(new uint8_t[static_cast<size_t>(kShipments) * kShipmentBytes]) {}

uint8_t* Outbox::reserve(const Address& to, uint32_t size) {
  if (size == 0 || size > kMaxSendBytes || !wire_.hasFamily(to.isV6())) return nullptr;
  lastSize_ = size;
  // Only the newest shipment to an address may grow: order within it is kept.
  for (uint32_t i = used_; i-- > 0;) {
    Shipment& shipment = shipments_[i];
    if (!(shipment.to == to)) continue;
    if (shipment.closed || size > shipment.segment || shipment.count >= kMaxSegments || shipment.size + size > kMaxSendBytes) break;
    uint8_t* room = shipment.bytes + shipment.size;
    shipment.size += size;
    shipment.count++;
    shipment.closed = size < shipment.segment;
    waiting_ += size;
    last_ = &shipment;
    return room;
  }
  if (used_ == kShipments) flush();
  Shipment& fresh = shipments_[used_];
  fresh = {to, area_.get() + static_cast<size_t>(used_) * kShipmentBytes, size, size, 1, false};
  used_++;
  waiting_ += size;
  last_ = &fresh;
  return fresh.bytes;
}

void Outbox::cancel() {
  if (last_ == nullptr) return;
  last_->size -= lastSize_;
  last_->count--;
  last_->closed = last_->size % last_->segment != 0;
  waiting_ -= lastSize_;
  last_ = nullptr;
}

void Outbox::flush() {
  if (used_ == 0) return;
  const uint32_t count = used_;
  used_ = 0;
  waiting_ = 0;
  last_ = nullptr;
  wire_.send(shipments_, count);
}

}  // namespace pintail
