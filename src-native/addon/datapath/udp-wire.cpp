#include "udp-wire.h"

#include <netinet/udp.h>
#include <poll.h>

#include <cerrno>
#include <cstring>

namespace pintail {

namespace {

constexpr int kSendWaitMs = 5;

bool waitWritable(int fd) {
  pollfd entry{fd, POLLOUT, 0};
  return poll(&entry, 1, kSendWaitMs) > 0;
}

struct alignas(cmsghdr) Control {
  uint8_t bytes[CMSG_SPACE(sizeof(uint16_t))];
};

void describe(mmsghdr& message, iovec& vector, Control& control, Shipment& shipment) {
  memset(&message, 0, sizeof message);
  vector = {shipment.bytes, shipment.size};
  msghdr& header = message.msg_hdr;
  header.msg_name = shipment.to.bytes;
  header.msg_namelen = shipment.to.size();
  header.msg_iov = &vector;
  header.msg_iovlen = 1;
  if (shipment.count <= 1) return;
  header.msg_control = control.bytes;
  header.msg_controllen = sizeof control.bytes;
  cmsghdr* entry = CMSG_FIRSTHDR(&header);
  entry->cmsg_level = IPPROTO_UDP;
  entry->cmsg_type = UDP_SEGMENT;
  entry->cmsg_len = CMSG_LEN(sizeof(uint16_t));
  const uint16_t segment = static_cast<uint16_t>(shipment.segment);
  memcpy(CMSG_DATA(entry), &segment, sizeof segment);
}

}  // namespace

void UdpWire::use(int v4, int v6) {
  sockets_[0].fd = v4;
  sockets_[1].fd = v6;
  for (Socket& socket : sockets_) socket.joins.store(true);
}

void UdpWire::send(Shipment* shipments, uint32_t count) {
  for (uint32_t done = 0; done < count;) {
    const bool v6 = shipments[done].to.isV6();
    uint32_t run = 1;
    while (done + run < count && shipments[done + run].count > 0 && shipments[done + run].to.isV6() == v6) run++;
    done += sendRun(sockets_[v6], shipments + done, run);
  }
}

// Sends at least one shipment of the run, or gives it up; answers how many are dealt with.
uint32_t UdpWire::sendRun(Socket& socket, Shipment* shipments, uint32_t count) {
  if (shipments->count == 0) return 1;
  if (socket.fd < 0) {
    counters_.drop(Drop::kNoSocket, shipments->count);
    return 1;
  }
  if (shipments->count > 1 && !socket.joins.load(std::memory_order_relaxed)) {
    sendSingly(socket, *shipments);
    return 1;
  }
  mmsghdr messages[Outbox::kShipments];
  iovec vectors[Outbox::kShipments];
  Control controls[Outbox::kShipments];
  for (uint32_t i = 0; i < count; i++) describe(messages[i], vectors[i], controls[i], shipments[i]);
  for (;;) {
    const int sent = sendmmsg(socket.fd, messages, count, 0);
    if (sent > 0) return static_cast<uint32_t>(sent);
    const int error = errno;
    if (error == EINTR || (error == EAGAIN && waitWritable(socket.fd))) continue;
    if (shipments->count > 1 && (error == EIO || error == EINVAL || error == EMSGSIZE)) {
      // EIO: the driver cannot checksum segments, so never again. The others: this size does not fit the path's MTU.
      if (error == EIO) {
        socket.joins.store(false);
        counters_.fault(Fault::kSendOffloadOff);
      } else {
        counters_.fault(Fault::kSendSplit);
      }
      sendSingly(socket, *shipments);
    } else {
      failed(*shipments, shipments->count, error);
    }
    return 1;
  }
}

void UdpWire::sendSingly(Socket& socket, const Shipment& shipment) {
  for (uint32_t at = 0; at < shipment.size; at += shipment.segment) {
    const uint32_t left = shipment.size - at;
    const uint32_t size = left < shipment.segment ? left : shipment.segment;
    const sockaddr* to = reinterpret_cast<const sockaddr*>(shipment.to.bytes);
    ssize_t sent = -1;
    do {
      sent = sendto(socket.fd, shipment.bytes + at, size, 0, to, shipment.to.size());
    } while (sent < 0 && (errno == EINTR || (errno == EAGAIN && waitWritable(socket.fd))));
    if (sent < 0) failed(shipment, 1, errno);
  }
}

// Full queues are a drop, not a reason to doubt the address.
void UdpWire::failed(const Shipment& shipment, uint32_t datagrams, int error) {
  if (error == EAGAIN || error == ENOBUFS) {
    counters_.drop(Drop::kOutQueueFull, datagrams);
  } else {
    up_.push({.kind = UpKind::kSendFailed, .localIndex = static_cast<uint32_t>(error), .address = &shipment.to});
  }
}

}  // namespace pintail
