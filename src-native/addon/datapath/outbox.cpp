#include "outbox.h"

#include <new>
#include <utility>

namespace pintail {

namespace {
constexpr uint32_t kMaxSegments = 64;
constexpr uint32_t kMaxSendBytes = 65507;  // what an IPv4 datagram can hold
}  // namespace

Outbox::Outbox(Wire& wire) : wire_(wire), area_(new uint8_t[static_cast<size_t>(kShipments) * kShipmentBytes]) {
  for (uint32_t i = 0; i < kShipments; i++) places_[i] = area_.get() + static_cast<size_t>(i) * kShipmentBytes;
}

bool Outbox::canGrow(const Shipment& shipment, uint32_t size) const {
  return !shipment.closed && size <= shipment.segment && shipment.count < kMaxSegments && shipment.size + size <= kMaxSendBytes;
}

uint8_t* Outbox::reserve(const Address& to, uint32_t size) {
  if (size == 0 || size > kMaxSendBytes || !wire_.hasFamily(to.isV6())) return nullptr;
  lastSize_ = size;
  // Only the newest shipment to an address may grow: order within it is kept.
  for (uint32_t i = used_; i-- > 0;) {
    Shipment& shipment = shipments_[i];
    if (!(shipment.to == to)) continue;
    if (!canGrow(shipment, size)) break;
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
  fresh = {to, places_[used_], size, size, 1, false};
  used_++;
  waiting_ += size;
  last_ = &fresh;
  return fresh.bytes;
}

void Outbox::cancel() {
  if (last_ == nullptr) return;
  last_->size -= lastSize_;
  last_->count--;
  waiting_ -= lastSize_;
  last_->closed = last_->size % last_->segment != 0;
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

void Outbox::flushFull() {
  if (used_ < 2 || !canGrow(shipments_[used_ - 1], shipments_[used_ - 1].segment)) {
    flush();
    return;
  }
  const uint32_t newest = used_ - 1;
  wire_.send(shipments_, newest);
  std::swap(places_[0], places_[newest]);
  shipments_[0] = shipments_[newest];
  used_ = 1;
  waiting_ = shipments_[0].size;
  last_ = nullptr;
}

}  // namespace pintail
