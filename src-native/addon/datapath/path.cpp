#include "path.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <system_error>

#include "packet-thread.h"
#include "recorder.h"

namespace pintail {

namespace {

// As soon as this much waits it is sent: enough for a full joined send, little enough to add no delay.
constexpr uint32_t kFlushBytes = 64 << 10;
constexpr uint32_t kHostBuffer = sizeof(OffloadHeader) + kMaxSuperPacket + 1;

class NoHost final : public HostOut {
 public:
  bool exists() const override { return false; }
  void add(uint8_t*, uint32_t) override {}
  void flush() override {}
};

// A descriptor that fails at once each time must not take a whole core.
void pauseAfterFault() {
  const timespec pause{0, 1'000'000};
  nanosleep(&pause, nullptr);
}

void closeFd(int& fd) {
  if (fd >= 0) ::close(fd);
  fd = -1;
}

}  // namespace

Path::Path(const AeadBackend& aead, uint32_t mtuBytes, Role role)
    : aead_(aead),
      up_(counters_),
      tables_(aead, up_),
      engine_(tables_, up_, counters_, mtuBytes, role),
      wire_(up_, counters_),
      hostOut_(std::make_unique<NoHost>()),
      hostOutOfReceiver_(std::make_unique<NoHost>()),
      hostOutOfSender_(std::make_unique<NoHost>()),
      stop_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

Path::~Path() {
  close();
  closeFd(stop_);
}

uint64_t Path::nowMs() const {
  const uint64_t fixed = fixedMs_.load(std::memory_order_relaxed);
  if (fixed != 0) return fixed - 1;
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1000 + static_cast<uint64_t>(now.tv_nsec) / 1'000'000;
}

Path::Recorder& Path::recordInstead() {
  if (recorder_ == nullptr) {
    recorder_ = std::make_unique<Recorder>();
    hostOut_ = std::make_unique<Recorder::Host>(*recorder_);
  }
  return *recorder_;
}

Lane& Path::lane() {
  if (lane_ == nullptr) {
    Wire& wire = recorder_ != nullptr ? static_cast<Wire&>(*recorder_) : wire_;
    lane_ = std::make_unique<Lane>(wire, *hostOut_);
  }
  lane_->nowMs = nowMs();
  return *lane_;
}

void Path::flush() {
  if (lane_ != nullptr) {
    lane_->out.flush();
    lane_->host.flush();
  }
  keptBytes_ = 0;
}

uint8_t* Path::keep(const uint8_t* bytes, uint32_t size) {
  constexpr uint32_t kKeptBytes = 256 << 10;
  if (kept_.empty()) kept_.resize(kKeptBytes);
  if (keptBytes_ + size > kKeptBytes) flush();
  uint8_t* const copy = kept_.data() + keptBytes_;
  if (size > 0) memcpy(copy, bytes, size);
  keptBytes_ += size;
  return copy;
}

void Path::setInterface(int fd, Offload offload) {
  interface_ = fd;
  offload_ = offload;
  for (std::unique_ptr<HostOut>* out : {&hostOut_, &hostOutOfReceiver_, &hostOutOfSender_}) {
    *out = std::make_unique<InterfaceOut>(fd, offload != Offload::kNone, offload == Offload::kTcpAndUdp, up_, counters_);
  }
}

void Path::setSockets(int v4, int v6) {
  v4_ = v4;
  v6_ = v6;
  wire_.use(v4, v6);
}

bool Path::start() {
  stopping_.store(false);
  uint64_t drained = 0;
  while (read(stop_, &drained, sizeof drained) > 0) {
  }
  try {
    if (interface_ >= 0) sender_ = std::thread([this] { sendLoop(); });
    if (v4_ >= 0 || v6_ >= 0) receiver_ = std::thread([this] { receiveLoop(); });
    return true;
  } catch (const std::system_error&) {
    pause();
    return false;
  }
}

void Path::tell(int eventFd) {
  const uint64_t one = 1;
  if (write(eventFd, &one, sizeof one) < 0) { /* the counter is already non-zero: the threads wake anyway */
  }
}

void Path::pause() {
  stopping_.store(true);
  tell(stop_);
  if (sender_.joinable()) sender_.join();
  if (receiver_.joinable()) receiver_.join();
}

void Path::closeSockets() {
  wire_.use(-1, -1);
  closeFd(v4_);
  closeFd(v6_);
}

void Path::close() {
  flush();
  pause();
  closeSockets();
  closeFd(interface_);
  lane_.reset();
  hostOut_ = std::make_unique<NoHost>();
  hostOutOfReceiver_ = std::make_unique<NoHost>();
  hostOutOfSender_ = std::make_unique<NoHost>();
}

void Path::sendLoop() {
  startPacketThread("pintail-send");
  Lane lane(wire_, *hostOutOfSender_);
  Segments segments;
  auto buffer = std::make_unique<uint8_t[]>(kHostBuffer);
  HostRead last = HostRead::kNothing;
  while (!stopping_.load(std::memory_order_relaxed) && last != HostRead::kGone) {
    last = readHost(lane, segments, buffer.get());
    if (last == HostRead::kPacket) {
      if (lane.out.waitingBytes() >= kFlushBytes) lane.out.flushFull();
      if (up_.announceWithinMs(lane.nowMs) == 0) up_.announce();  // it may be long before there is a silence
      continue;
    }
    lane.out.flush();
    if (last == HostRead::kGone) {
      up_.push({.kind = UpKind::kHostTrouble});  // JavaScript looks what became of the interface
      break;
    }
    pollfd entries[2] = {{interface_, POLLIN, 0}, {stop_, POLLIN, 0}};
    if (!sleep(entries, 2)) break;
  }
  lane.out.flush();
}

// Until something happens; false: the thread has to end. A silence of packets is the moment to tell JavaScript of them.
bool Path::sleep(pollfd* entries, uint32_t count) {
  const int limitMs = up_.announceWithinMs(nowMs());
  if (limitMs == 0) up_.announce();
  const int ready = poll(entries, count, limitMs == 0 ? -1 : limitMs);
  if (ready == 0) up_.announce();
  return ready >= 0 || errno == EINTR;
}

// One packet or super-packet of the host.
Path::HostRead Path::readHost(Lane& lane, Segments& segments, uint8_t* buffer) {
  const ssize_t got = read(interface_, buffer, kHostBuffer);
  if (got < 0) {
    if (errno == EINTR) return HostRead::kPacket;
    if (errno == EAGAIN) return HostRead::kNothing;
    counters_.fault(Fault::kHostRead);
    if (errno == EBADF || errno == EBADFD || errno == EFAULT || errno == EIO) return HostRead::kGone;
    pauseAfterFault();
    return HostRead::kNothing;
  }
  fromInterface(lane, segments, buffer, static_cast<uint32_t>(got), offload_ != Offload::kNone);
  return HostRead::kPacket;
}

void Path::fromInterface(Lane& lane, Segments& segments, uint8_t* bytes, uint32_t size, bool hasHeader) {
  OffloadHeader header;
  const uint32_t before = hasHeader ? sizeof header : 0;
  if (size < before) {
    counters_.fault(Fault::kOffloadHeader);
    return;
  }
  memcpy(&header, bytes, before);
  if (!segments.open(header, bytes + before, size - before, kMaxSuperPacket)) {
    counters_.fault(Fault::kOffloadHeader);
    return;
  }
  lane.nowMs = nowMs();
  tables_.lock.lock_shared();
  engine_.fromHost(lane, segments, bytes + before, size - before);
  tables_.lock.unlock_shared();
}

void Path::receiveLoop() {
  startPacketThread("pintail-recv");
  Lane lane(wire_, *hostOutOfReceiver_);
  Receiver receivers[2];
  pollfd entries[3] = {{v4_, POLLIN, 0}, {v6_, POLLIN, 0}, {stop_, POLLIN, 0}};
  while (!stopping_.load(std::memory_order_relaxed)) {
    if (!sleep(entries, 3)) break;
    for (int i = 0; i < 2; i++) {
      if (entries[i].revents != 0) receiveFrom(lane, receivers[i], entries[i].fd);
    }
  }
}

void Path::receiveFrom(Lane& lane, Receiver& receiver, int& fd) {
  const int bunches = receiver.receive(fd);
  if (bunches < 0) {
    counters_.fault(Fault::kReceive);
    if (bunches == -EBADF || bunches == -ENOTSOCK) {
      fd = -1;
    } else {
      pauseAfterFault();
    }
  }
  if (bunches <= 0) return;
  if (const uint32_t lost = receiver.takeOverflow(); lost > 0) counters_.drop(Drop::kInSocketOverflow, lost);
  handle(lane, receiver, static_cast<uint32_t>(bunches));
  lane.host.flush();
  lane.out.flush();
}

void Path::handle(Lane& lane, Receiver& receiver, uint32_t bunches) {
  lane.nowMs = nowMs();
  tables_.lock.lock_shared();
  for (uint32_t i = 0; i < bunches; i++) {
    Receiver::Bunch& bunch = receiver.bunch(i);
    if (bunch.truncated) {
      counters_.drop(Drop::kInTooLongDatagram);
      continue;
    }
    lane.heard = nullptr;
    uint32_t at = 0;
    do {
      const uint32_t left = bunch.size - at;
      const uint32_t size = left < bunch.segment ? left : bunch.segment;
      engine_.fromNetwork(lane, bunch.bytes + at, size, bunch.from);
      at += size;
    } while (at < bunch.size);
  }
  tables_.lock.unlock_shared();
}

}  // namespace pintail
