// A thread that reads one descriptor (TUN or UDP) into batch buffers which JavaScript owns, and calls JavaScript once
// per batch. What arrives joined (TCP super-packets, UDP_GRO) is cut into slots here. The callback reads the ArrayBuffer and,
// by returning, gives it back. When all buffers are full the thread waits, and the kernel's own queue is the only one that grows.
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <memory>
#include <mutex>
#include <new>
#include <thread>
#include <vector>

#include "datapath/receiver.h"
#include "glue.h"
#include "offload.h"
#include "segments.h"
#include "slot.h"

namespace pintail {

namespace {

constexpr uint32_t kBatches = 3;
constexpr uint32_t kMaxSlots = 256;

class Reader {
 public:
  Reader(int fd, bool udp, bool offload, uint32_t slotBytes, uint32_t slots)
      : fd_(fd), udp_(udp), offload_(offload), slotBytes_(slotBytes), slots_(slots), stop_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    if (udp) receiver_ = std::make_unique<Receiver>();
  }

  // False: the system gave no descriptor to stop the thread with.
  bool canStop() const { return stop_.get() >= 0; }
  // Makes the buffers and the thread; answers the array of buffers, or nullptr with an exception pending.
  napi_value start(napi_env env, napi_value callback);
  // Stops and joins the thread; the object goes when the threadsafe function is finalised.
  void stop();
  uint32_t truncated() const { return truncated_.load(std::memory_order_relaxed); }

 private:
  static void onCall(napi_env env, napi_value callback, void* context, void* data);
  static void onFinalize(napi_env env, void* data, void* hint);
  static void onEnvironmentEnd(void* self) { static_cast<Reader*>(self)->stop(); }
  void drain(napi_env env, napi_value callback);
  void run();
  bool waitReadable();
  int fill(uint8_t* batch);
  int fillTun(uint8_t* batch);
  int fillOffload(uint8_t* batch);
  int fillUdp(uint8_t* batch);
  void hand(uint32_t batch, int count);

  const int fd_;
  const bool udp_;
  const bool offload_;
  const uint32_t slotBytes_;
  const uint32_t slots_;
  Descriptor stop_;
  std::atomic<bool> stopping_{false};
  std::atomic<uint32_t> truncated_{0};
  napi_env env_ = nullptr;
  napi_threadsafe_function call_ = nullptr;
  napi_ref buffers_ = nullptr;
  uint8_t* data_[kBatches] = {};
  std::thread thread_;
  bool stopped_ = false;

  struct Ready {
    uint32_t batch;
    int count;
  };
  std::mutex mutex_;
  std::condition_variable freed_;
  std::vector<uint32_t> free_;
  std::vector<Ready> ready_;
  bool scheduled_ = false;

  // With offload: the super-packet that is being cut; it may span batches.
  std::vector<uint8_t> super_;
  Segments segments_;

  // Of UDP: datagrams as received, and how far the current ones are cut; they may span batches.
  std::unique_ptr<Receiver> receiver_;
  uint32_t bunch_ = 0;
  uint32_t bunches_ = 0;
  uint32_t offset_ = 0;
};

napi_value Reader::start(napi_env env, napi_value callback) {
  env_ = env;
  napi_value buffers = nullptr;
  napi_create_array_with_length(env, kBatches, &buffers);
  for (uint32_t i = 0; i < kBatches; i++) {
    napi_value buffer = nullptr;
    void* data = nullptr;
    if (napi_create_arraybuffer(env, static_cast<size_t>(slots_) * slotBytes_, &data, &buffer) != napi_ok) {
      return throwErrno(env, "reader buffers", ENOMEM);
    }
    data_[i] = static_cast<uint8_t*>(data);
    napi_set_element(env, buffers, i, buffer);
    free_.push_back(i);
  }
  ready_.reserve(kBatches);
  napi_create_reference(env, buffers, 1, &buffers_);
  if (napi_create_threadsafe_function(env, callback, nullptr, text(env, "pintail reader"), 0, 1, this, onFinalize, this,
                                      onCall, &call_) != napi_ok) {
    return throwErrno(env, "reader callback", EINVAL);
  }
  napi_add_env_cleanup_hook(env, onEnvironmentEnd, this);
  thread_ = std::thread([this] { run(); });
  return buffers;
}

void Reader::stop() {
  if (stopped_) return;
  stopped_ = true;
  stopping_.store(true);
  const uint64_t one = 1;
  if (write(stop_.get(), &one, sizeof one) < 0) { /* the counter is already non-zero: the thread wakes anyway */
  }
  {
    std::lock_guard<std::mutex> lock(mutex_);
    freed_.notify_all();
  }
  thread_.join();
  napi_remove_env_cleanup_hook(env_, onEnvironmentEnd, this);
  napi_release_threadsafe_function(call_, napi_tsfn_abort);
}

void Reader::onFinalize(napi_env env, void* data, void*) {
  Reader* self = static_cast<Reader*>(data);
  if (self->buffers_ != nullptr) napi_delete_reference(env, self->buffers_);
  delete self;
}

void Reader::onCall(napi_env env, napi_value callback, void* context, void*) {
  if (env != nullptr) static_cast<Reader*>(context)->drain(env, callback);
}

void Reader::drain(napi_env env, napi_value callback) {
  napi_value undefined = nullptr;
  napi_get_undefined(env, &undefined);
  {
    std::lock_guard<std::mutex> lock(mutex_);
    scheduled_ = false;
  }
  // At most one round of buffers, so that a busy descriptor cannot starve timers and the other readers.
  for (uint32_t round = 0; round < kBatches && !stopped_; round++) {
    Ready next{};
    {
      std::lock_guard<std::mutex> lock(mutex_);
      if (ready_.empty()) return;
      next = ready_.front();
      ready_.erase(ready_.begin());
    }
    napi_handle_scope scope = nullptr;
    napi_open_handle_scope(env, &scope);
    napi_value arguments[] = {number(env, next.batch), number(env, next.count)};
    if (napi_call_function(env, undefined, callback, 2, arguments, nullptr) == napi_pending_exception) {
      // Left pending it would only be a warning; it has to be as loud as one thrown in any other callback.
      napi_value exception = nullptr;
      napi_get_and_clear_last_exception(env, &exception);
      napi_fatal_exception(env, exception);
    }
    napi_close_handle_scope(env, scope);
    {
      std::lock_guard<std::mutex> lock(mutex_);
      free_.push_back(next.batch);
      freed_.notify_one();
    }
  }
  std::lock_guard<std::mutex> lock(mutex_);
  if (!stopped_ && !ready_.empty() && !scheduled_) {
    scheduled_ = true;
    napi_call_threadsafe_function(call_, nullptr, napi_tsfn_nonblocking);
  }
}

void Reader::hand(uint32_t batch, int count) {
  std::lock_guard<std::mutex> lock(mutex_);
  ready_.push_back({batch, count});
  if (scheduled_ || stopping_.load()) return;
  scheduled_ = true;
  napi_call_threadsafe_function(call_, nullptr, napi_tsfn_nonblocking);
}

void Reader::run() {
  for (;;) {
    uint32_t batch = 0;
    {
      std::unique_lock<std::mutex> lock(mutex_);
      freed_.wait(lock, [this] { return !free_.empty() || stopping_.load(); });
      if (stopping_.load()) return;
      batch = free_.front();
      free_.erase(free_.begin());
    }
    int count = 0;
    while (count == 0) {
      if (stopping_.load()) return;
      count = fill(data_[batch]);
      if (count == 0 && !waitReadable()) return;
    }
    hand(batch, count);
    if (count < 0) return;
  }
}

// False when the thread has to end.
bool Reader::waitReadable() {
  pollfd entries[2] = {{fd_, POLLIN, 0}, {stop_.get(), POLLIN, 0}};
  if (poll(entries, 2, -1) < 0) return errno == EINTR;
  if (entries[1].revents != 0) return false;
  if (udp_ && (entries[0].revents & POLLERR) != 0) {
    int pending = 0;
    socklen_t length = sizeof pending;
    getsockopt(fd_, SOL_SOCKET, SO_ERROR, &pending, &length);  // reading it clears it
  }
  return true;
}

// Packets read, 0 when there is none, or a negative errno after which reading makes no sense.
int Reader::fill(uint8_t* batch) {
  if (udp_) return fillUdp(batch);
  return offload_ ? fillOffload(batch) : fillTun(batch);
}

int Reader::fillOffload(uint8_t* batch) {
  if (super_.empty()) super_.resize(sizeof(OffloadHeader) + kMaxSuperPacket);
  const uint32_t room = slotBytes_ - kSlotHeader;
  uint32_t count = 0;
  while (count < slots_) {
    if (segments_.isEmpty()) {
      const ssize_t length = read(fd_, super_.data(), super_.size());
      if (length < 0) {
        if (errno == EINTR) continue;
        if (errno == EAGAIN || count > 0) break;
        return -errno;
      }
      OffloadHeader header;
      constexpr uint32_t kHeader = sizeof header;
      const uint32_t packetLength = length < static_cast<ssize_t>(kHeader) ? 0 : static_cast<uint32_t>(length) - kHeader;
      memcpy(&header, super_.data(), kHeader);
      if (packetLength == 0 || !segments_.open(header, super_.data() + kHeader, packetLength, room)) {
        truncated_.fetch_add(1, std::memory_order_relaxed);
        continue;
      }
    }
    uint8_t* slot = batch + static_cast<size_t>(count) * slotBytes_;
    const uint32_t stored = segments_.take(slot + kSlotHeader);
    memcpy(slot, &stored, sizeof stored);
    count++;
  }
  return static_cast<int>(count);
}

int Reader::fillTun(uint8_t* batch) {
  uint32_t count = 0;
  while (count < slots_) {
    uint8_t* slot = batch + static_cast<size_t>(count) * slotBytes_;
    const ssize_t length = read(fd_, slot + kSlotHeader, slotBytes_ - kSlotHeader);
    if (length < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN || count > 0) break;
      return -errno;
    }
    const uint32_t stored = static_cast<uint32_t>(length);
    memcpy(slot, &stored, sizeof stored);
    count++;
  }
  return static_cast<int>(count);
}

// The kernel joins datagrams of one sender (UDP_GRO); they are cut apart here, into slots.
int Reader::fillUdp(uint8_t* batch) {
  const uint32_t room = slotBytes_ - kSlotHeader;
  uint32_t count = 0;
  while (count < slots_) {
    if (bunch_ == bunches_) {
      const int received = receiver_->receive(fd_);
      bunch_ = bunches_ = offset_ = 0;
      if (received > 0) {
        bunches_ = static_cast<uint32_t>(received);
      } else if (count > 0 || (received != -EBADF && received != -ENOTSOCK && received != -EINVAL)) {
        break;  // what a network did to earlier datagrams says nothing about the next
      } else {
        return received;
      }
      continue;
    }
    const Receiver::Bunch& bunch = receiver_->bunch(bunch_);
    const uint32_t left = bunch.size - offset_;
    const uint32_t length = left < bunch.segment ? left : bunch.segment;
    if (length > room || bunch.truncated) {
      truncated_.fetch_add(1, std::memory_order_relaxed);  // nothing we speak is that long
    } else {
      uint8_t* slot = batch + static_cast<size_t>(count) * slotBytes_;
      memcpy(slot, &length, sizeof length);
      memcpy(slot + kAddressOffset, bunch.from.bytes, kAddressSize);
      memcpy(slot + kSlotHeader, bunch.bytes + offset_, length);
      count++;
    }
    offset_ += length;
    if (offset_ < bunch.size && !bunch.truncated) continue;
    bunch_++;
    offset_ = 0;
  }
  return static_cast<int>(count);
}

struct Handle {
  Reader* reader;
};

}  // namespace

// startReader(fd, 'tun' | 'tun-offload' | 'udp', slotBytes, slots, (batch, count) => void) → { handle, buffers }
// `count` below zero is a negative errno: the thread has ended.
napi_value startReader(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  int64_t fd = -1;
  int64_t slotBytes = 0;
  int64_t slots = 0;
  std::string kind;
  if (!arguments.readInt(0, fd) || !arguments.readText(1, kind) || !arguments.readInt(2, slotBytes) ||
      !arguments.readInt(3, slots)) {
    return nullptr;
  }
  if (slotBytes <= kSlotHeader || slotBytes > (1 << 17) || slotBytes % 4 != 0 || slots < 1 || slots > kMaxSlots) {
    return throwErrno(env, "startReader", EINVAL);
  }
  Reader* reader = new (std::nothrow)
      Reader(static_cast<int>(fd), kind == "udp", kind == "tun-offload", static_cast<uint32_t>(slotBytes), static_cast<uint32_t>(slots));
  if (reader == nullptr) return throwErrno(env, "startReader", ENOMEM);
  if (!reader->canStop()) {
    delete reader;
    return throwErrno(env, "eventfd", EMFILE);
  }
  napi_value buffers = reader->start(env, arguments.at(4));
  if (buffers == nullptr) {
    delete reader;
    return nullptr;
  }
  napi_value handle = nullptr;
  napi_create_external(
      env, new Handle{reader}, [](napi_env, void* data, void*) { delete static_cast<Handle*>(data); }, nullptr, &handle);
  napi_value result = nullptr;
  napi_create_object(env, &result);
  setMember(env, result, "handle", handle);
  setMember(env, result, "buffers", buffers);
  return result;
}

// stopReader(handle): the thread has ended when this returns; no callback comes afterwards. Twice is harmless.
napi_value stopReader(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  void* pointer = nullptr;
  if (!arguments.readExternal(0, pointer)) return nullptr;
  Handle* handle = static_cast<Handle*>(pointer);
  Reader* reader = handle->reader;
  handle->reader = nullptr;
  if (reader != nullptr) reader->stop();
  return nullptr;
}

// readerTruncated(handle) → datagrams that were longer than a slot.
napi_value readerTruncated(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  void* pointer = nullptr;
  if (!arguments.readExternal(0, pointer)) return nullptr;
  Handle* handle = static_cast<Handle*>(pointer);
  return number(env, handle->reader == nullptr ? 0 : handle->reader->truncated());
}

}  // namespace pintail
