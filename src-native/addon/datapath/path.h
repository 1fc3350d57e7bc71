// The running data path: two threads, one a direction. One reads the interface, seals and sends; the other receives,
// opens and writes. JavaScript's thread has a lane of its own for what it sends itself.
#pragma once

#include <poll.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "engine.h"
#include "interface-out.h"
#include "receiver.h"
#include "udp-wire.h"

namespace pintail {

// What the interface can do for us: nothing, TCP super-packets, UDP ones too (Linux ≥ 6.2).
enum class Offload : uint8_t { kNone, kTcpOnly, kTcpAndUdp };

class Path {
 public:
  Path(const AeadBackend& aead, uint32_t mtuBytes, Role role);
  ~Path();

  // False: the system gave no descriptor to stop threads with; start() must not be called.
  bool canStop() const { return stop_ >= 0; }

  // Before start(). Both take over the descriptor.
  void setInterface(int fd, Offload offload);
  void setSockets(int v4, int v6);
  // False: the system gives no more threads; then none runs.
  [[nodiscard]] bool start();
  // Ends the threads; tables and interface stay. start() goes on.
  void pause();
  void closeSockets();
  // Ends everything; what waits is sent first.
  void close();

  uint64_t nowMs() const;
  Tables& tables() { return tables_; }
  Engine& engine() { return engine_; }
  Up& up() { return up_; }
  const Counters& counters() const { return counters_; }
  Counters& counters() { return counters_; }
  const char* aeadName() const { return aead_.name; }

  // JavaScript's own lane.
  Lane& lane();
  void flush();
  // A copy that may be changed and lasts until flush(), which comes early when there are many.
  uint8_t* keep(const uint8_t* bytes, uint32_t size);

  // What one read of the interface has brought: a packet or super-packet, behind its offload header if it has one. Changed in place.
  void fromInterface(Lane& lane, Segments& segments, uint8_t* bytes, uint32_t size, bool hasHeader);

  // Tests: by hand instead of by threads.
  class Recorder;
  Recorder& recordInstead();
  void setClock(uint64_t ms) { fixedMs_.store(ms + 1); }

 private:
  void sendLoop();
  void receiveLoop();
  enum class HostRead : uint8_t { kPacket, kNothing, kGone };
  HostRead readHost(Lane& lane, Segments& segments, uint8_t* buffer);
  void receiveFrom(Lane& lane, Receiver& receiver, int& fd);
  void handle(Lane& lane, Receiver& receiver, uint32_t bunches);
  bool sleep(pollfd* entries, uint32_t count);
  void tell(int eventFd);

  const AeadBackend& aead_;
  Counters counters_;
  Up up_;
  Tables tables_;
  Engine engine_;
  UdpWire wire_;
  std::unique_ptr<Recorder> recorder_;
  std::unique_ptr<HostOut> hostOut_;   // JavaScript's
  std::unique_ptr<HostOut> hostOutOfReceiver_;
  std::unique_ptr<HostOut> hostOutOfSender_;
  std::unique_ptr<Lane> lane_;
  std::vector<uint8_t> kept_;
  uint32_t keptBytes_ = 0;
  int interface_ = -1;
  Offload offload_ = Offload::kNone;
  int v4_ = -1;
  int v6_ = -1;
  int stop_ = -1;
  std::atomic<bool> stopping_{false};
  std::atomic<uint64_t> fixedMs_{0};
  std::thread sender_;
  std::thread receiver_;
};

}  // namespace pintail
