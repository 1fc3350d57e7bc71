// UDP sockets: open with mark and large buffers, send batches with sendmmsg and segmentation offload (UDP_SEGMENT).
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "glue.h"
#include "slot.h"

namespace pintail {

namespace {

constexpr int kSocketBufferBytes = 7 << 20;
constexpr uint32_t kMaxBatch = 128;
constexpr uint32_t kMaxSegments = 64;
constexpr uint32_t kMaxSendBytes = 65507;
constexpr int kSendWaitMs = 5;
// Index in the answer of sendUdp that means "segmentation offload does not work on this socket".
constexpr int kOffloadBroken = -1;

void growBuffers(int fd) {
  const int size = kSocketBufferBytes;
  if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) != 0) {
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
  }
  if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size) != 0) {
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
  }
}

// One sendmmsg worth of messages, each one datagram or one offloaded group of datagrams.
class SendBatch {
 public:
  SendBatch(uint8_t* slots, uint32_t slotBytes) : slots_(slots), slotBytes_(slotBytes) {}

  // Groups slots from `first`; answers how many slots the batch covers.
  uint32_t build(uint32_t first, uint32_t end, bool offload) {
    used_ = 0;
    uint32_t next = first;
    while (next < end && next - first < kMaxBatch) {
      const uint32_t limit = end - first < kMaxBatch ? end : first + kMaxBatch;
      const uint32_t taken = offload ? groupLength(next, limit) : 1;
      addMessage(next, taken, next - first);
      next += taken;
    }
    return next - first;
  }

  uint32_t messages() const { return used_; }
  mmsghdr* at(uint32_t message) { return &headers_[message]; }
  uint32_t firstSlot(uint32_t message) const { return firstSlot_[message]; }
  uint32_t slotCount(uint32_t message) const { return slotCount_[message]; }

 private:
  uint8_t* slot(uint32_t index) const { return slots_ + static_cast<size_t>(index) * slotBytes_; }
  uint32_t length(uint32_t index) const {
    uint32_t value = 0;
    memcpy(&value, slot(index), sizeof value);
    return value > slotBytes_ - kSlotHeader ? slotBytes_ - kSlotHeader : value;
  }

  // Equal sizes to one address; a shorter one may end the group.
  uint32_t groupLength(uint32_t first, uint32_t limit) const {
    const uint32_t segment = length(first);
    if (segment == 0) return 1;
    uint32_t total = segment;
    uint32_t count = 1;
    while (first + count < limit && count < kMaxSegments) {
      const uint32_t candidate = length(first + count);
      if (candidate == 0 || candidate > segment || total + candidate > kMaxSendBytes) break;
      if (memcmp(slot(first) + kAddressOffset, slot(first + count) + kAddressOffset, kAddressSize) != 0) break;
      total += candidate;
      count++;
      if (candidate < segment) break;
    }
    return count;
  }

  void addMessage(uint32_t first, uint32_t count, uint32_t vectorStart) {
    mmsghdr& header = headers_[used_];
    memset(&header, 0, sizeof header);
    for (uint32_t i = 0; i < count; i++) {
      vectors_[vectorStart + i] = {slot(first + i) + kSlotHeader, length(first + i)};
    }
    sockaddr* address = reinterpret_cast<sockaddr*>(slot(first) + kAddressOffset);
    header.msg_hdr.msg_name = address;
    header.msg_hdr.msg_namelen = address->sa_family == AF_INET6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in);
    header.msg_hdr.msg_iov = &vectors_[vectorStart];
    header.msg_hdr.msg_iovlen = count;
    if (count > 1) {
      header.msg_hdr.msg_control = controls_[used_].bytes;
      header.msg_hdr.msg_controllen = CMSG_SPACE(sizeof(uint16_t));
      cmsghdr* control = CMSG_FIRSTHDR(&header.msg_hdr);
      control->cmsg_level = IPPROTO_UDP;
      control->cmsg_type = UDP_SEGMENT;
      control->cmsg_len = CMSG_LEN(sizeof(uint16_t));
      const uint16_t segment = static_cast<uint16_t>(length(first));
      memcpy(CMSG_DATA(control), &segment, sizeof segment);
    }
    firstSlot_[used_] = first;
    slotCount_[used_] = count;
    used_++;
  }

  struct alignas(cmsghdr) Control {
    uint8_t bytes[CMSG_SPACE(sizeof(uint16_t))];
  };

  uint8_t* slots_;
  uint32_t slotBytes_;
  uint32_t used_ = 0;
  mmsghdr headers_[kMaxBatch];
  iovec vectors_[kMaxBatch];
  Control controls_[kMaxBatch];
  uint32_t firstSlot_[kMaxBatch];
  uint32_t slotCount_[kMaxBatch];
};

class Failures {
 public:
  explicit Failures(napi_env env) : env_(env) {}
  void add(int slot, int error) {
    if (list_ == nullptr) napi_create_array(env_, &list_);
    napi_set_element(env_, list_, used_++, number(env_, slot));
    napi_set_element(env_, list_, used_++, number(env_, error));
  }
  napi_value list() const { return list_; }

 private:
  napi_env env_;
  napi_value list_ = nullptr;
  uint32_t used_ = 0;
};

bool waitWritable(int fd) {
  pollfd entry{fd, POLLOUT, 0};
  return poll(&entry, 1, kSendWaitMs) > 0;
}

}  // namespace

// openUdp(family 4|6, port, mark) → { fd, port }
napi_value openUdp(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  int64_t family = 0;
  int64_t port = 0;
  int64_t mark = 0;
  if (!arguments.readInt(0, family) || !arguments.readInt(1, port) || !arguments.readInt(2, mark)) return nullptr;
  const bool v6 = family == 6;
  Descriptor fd(socket(v6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (fd.get() < 0) return throwErrno(env, "socket", errno);
  const int on = 1;
  if (v6 && setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) != 0) {
    return throwErrno(env, "IPV6_V6ONLY", errno);
  }
  const uint32_t markValue = static_cast<uint32_t>(mark);
  if (markValue != 0 && setsockopt(fd.get(), SOL_SOCKET, SO_MARK, &markValue, sizeof markValue) != 0) {
    return throwErrno(env, "SO_MARK", errno);
  }
  growBuffers(fd.get());
  // Datagrams of one sender arrive joined; a kernel without it delivers them one by one.
  setsockopt(fd.get(), SOL_UDP, UDP_GRO, &on, sizeof on);
  // And with what arrives it is told how much was dropped before.
  setsockopt(fd.get(), SOL_SOCKET, SO_RXQ_OVFL, &on, sizeof on);

  sockaddr_in6 address6{};
  sockaddr_in address4{};
  address6.sin6_family = AF_INET6;
  address6.sin6_port = htons(static_cast<uint16_t>(port));
  address4.sin_family = AF_INET;
  address4.sin_port = htons(static_cast<uint16_t>(port));
  sockaddr* address = v6 ? reinterpret_cast<sockaddr*>(&address6) : reinterpret_cast<sockaddr*>(&address4);
  socklen_t length = v6 ? sizeof address6 : sizeof address4;
  if (bind(fd.get(), address, length) != 0) return throwErrno(env, "bind", errno);
  if (getsockname(fd.get(), address, &length) != 0) return throwErrno(env, "getsockname", errno);

  napi_value result = nullptr;
  napi_create_object(env, &result);
  setMember(env, result, "port", number(env, ntohs(v6 ? address6.sin6_port : address4.sin_port)));
  setMember(env, result, "fd", number(env, fd.release()));
  return result;
}

// sendUdp(fd, slots, slotBytes, count, offload 0|1) → undefined, or [slot, errno, …] of what failed.
napi_value sendUdp(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  int64_t fdArgument = -1;
  int64_t slotBytes = 0;
  int64_t countArgument = 0;
  int64_t offloadArgument = 0;
  uint8_t* data = nullptr;
  size_t size = 0;
  if (!arguments.readInt(0, fdArgument) || !arguments.readBuffer(1, data, size) || !arguments.readInt(2, slotBytes) ||
      !arguments.readInt(3, countArgument) || !arguments.readInt(4, offloadArgument)) {
    return nullptr;
  }
  if (slotBytes <= kSlotHeader || countArgument < 0 ||
      static_cast<uint64_t>(countArgument) * static_cast<uint64_t>(slotBytes) > size) {
    return throwErrno(env, "sendUdp", EINVAL);
  }
  const int fd = static_cast<int>(fdArgument);
  const uint32_t count = static_cast<uint32_t>(countArgument);
  bool offload = offloadArgument != 0;
  Failures failures(env);
  SendBatch batch(data, static_cast<uint32_t>(slotBytes));

  uint32_t done = 0;
  uint32_t plainUntil = 0;  // slots before this go one by one, because their group was refused
  while (done < count) {
    const bool group = offload && done >= plainUntil;
    const uint32_t covered = batch.build(done, group || !offload ? count : plainUntil, group);
    uint32_t message = 0;
    bool regroup = false;
    while (message < batch.messages() && !regroup) {
      const int sent = sendmmsg(fd, batch.at(message), batch.messages() - message, 0);
      if (sent > 0) {
        message += static_cast<uint32_t>(sent);
        continue;
      }
      const int error = errno;
      if (error == EINTR) continue;
      if (error == EAGAIN && waitWritable(fd)) continue;
      if (batch.slotCount(message) > 1 && (error == EIO || error == EINVAL || error == EMSGSIZE)) {
        // EIO: the driver cannot checksum segments, so never again. EINVAL: this size does not fit the path's MTU.
        if (error == EIO) {
          offload = false;
          failures.add(kOffloadBroken, error);
        }
        plainUntil = batch.firstSlot(message) + batch.slotCount(message);
        done = batch.firstSlot(message);
        regroup = true;
        continue;
      }
      for (uint32_t i = 0; i < batch.slotCount(message); i++) {
        failures.add(static_cast<int>(batch.firstSlot(message) + i), error);
      }
      message++;
    }
    if (!regroup) done += covered;
  }
  return failures.list();
}

}  // namespace pintail
