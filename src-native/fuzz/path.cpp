// The running path, threads and all: a pair of connected sockets is the interface, UDP sockets of this host the network. What
// JavaScript may do in any order happens here while packets move: tables change, sockets are exchanged, it is paused and ended.
//
// What must hold: it ends, and nothing is left of it – no thread, no descriptor, and (LeakSanitizer) no memory.
//
// Input: steps of u8 kind and what that needs.
#include "../addon/datapath/path.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <netinet/udp.h>
#include <unistd.h>

#include "openssl.h"
#include "packets.h"

using namespace pintail;

namespace {

uint32_t entries(const char* folder) {
  DIR* open = opendir(folder);
  CHECK(open != nullptr);
  uint32_t count = 0;
  while (readdir(open) != nullptr) count++;
  closedir(open);
  return count;
}

int openSocket(sockaddr_in& at) {
  const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  CHECK(fd >= 0);
  const int on = 1;
  setsockopt(fd, SOL_UDP, UDP_GRO, &on, sizeof on);
  at = {};
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof at;
  CHECK(bind(fd, reinterpret_cast<sockaddr*>(&at), size) == 0);
  CHECK(getsockname(fd, reinterpret_cast<sockaddr*>(&at), &size) == 0);
  return fd;
}

uint32_t countOf(const std::vector<uint8_t>& records, UpKind kind) {
  uint32_t count = 0;
  for (size_t at = 0; at < records.size();) {
    uint32_t length = 0;
    memcpy(&length, &records[at], sizeof length);
    count += records[at + 4] == static_cast<uint8_t>(kind) ? 1 : 0;
    at += length;
  }
  return count;
}

// One path, which is its own peer: both keys are the same, and its datagrams come back to it.
class Bench {
 public:
  explicit Bench(fuzz::Input& input) : in(input), path(fuzz::openSsl(), 1280, (input.u8() & 1) != 0 ? Role::kPlain : Role::kNode) {
    CHECK(path.canStop());
    int ends[2];
    CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0);
    host = ends[1];
    path.up().onWake([this] { wakes.fetch_add(1); });
    path.setInterface(ends[0], Offload::kNone);
    exchangeSockets();
    FilterTable table;
    table.shieldsUp = false;
    table.localNets = {Prefix(false, 0, {})};
    table.rules.push_back({{Prefix(false, 0, {})}, {}, {{Prefix(false, 0, {}), 0, 65535}}, {6, 17}});
    path.tables().setFilter(table);
  }
  ~Bench() {
    path.close();
    ::close(host);
  }
  Bench(const Bench&) = delete;
  Bench& operator=(const Bench&) = delete;

  void step() {
    switch (in.u8() % 12) {
      case 0:
        return exchangeSockets();
      case 1:
        path.pause();
        CHECK(path.start());
        return;
      case 2:
        path.tables().setPeer(1, false, {Prefix(false, in.u8() % 33, Ip{{0x64400000, 0, 0, 0}})});
        return;
      case 3:
        return path.tables().removePeer(1);
      case 4: {
        const uint8_t keys[2 * kKeySize] = {};
        const uint32_t index = in.u8() & 3;
        CHECK(path.tables().addKeypair({1, index, index, keys, keys + kKeySize, (in.u8() & 1) != 0}, path.nowMs()));
        return;
      }
      case 5:
        return path.tables().dropKeypair(in.u8() & 3);
      case 6: {
        Destination to;
        to.hasUdp = true;
        to.relay = (in.u8() & 7) == 7;
        memcpy(to.udp.bytes, &own, sizeof own);
        return path.tables().setDestination(1, to);
      }
      case 7:
        path.engine().setMtu(68 + in.u16());
        path.engine().sendPacket(path.lane(), 1, nullptr, 0);
        return path.flush();
      case 8: {
        std::vector<uint8_t> records;
        // However often an interface that is down refuses a packet: once is enough to look at it.
        for (int i = 0; i < 3; i++) path.up().push({.kind = UpKind::kHostTrouble});
        path.up().take(records, path.nowMs());
        CHECK(countOf(records, UpKind::kHostTrouble) == 1);
        return path.tables().reap(1);
      }
      case 9: {  // noise, and what might be a session's
        fuzz::Bytes noise = in.bytes(in.u8());
        if ((in.u8() & 1) != 0 && noise.size() >= 8) memcpy(noise.data(), "\4\0\0\0\1\0\0\0", 8);
        const Address from = addressOf(own);
        if (uint8_t* room = path.lane().out.reserve(from, static_cast<uint32_t>(noise.size()))) {
          if (!noise.empty()) memcpy(room, noise.data(), noise.size());
        }
        return path.flush();
      }
      default: {
        for (uint32_t i = in.u8() & 31; i-- > 0;) {
          const fuzz::Bytes packet = fuzz::ipPacket(false, 17, in.u8() & 7, in.u8() & 7, fuzz::Bytes(8 + (in.u16() & 1023)));
          if (send(host, packet.data(), packet.size(), MSG_DONTWAIT) < 0) break;
        }
        uint8_t got[65536];
        while (recv(host, got, sizeof got, MSG_DONTWAIT) > 0) {
        }
      }
    }
  }

 private:
  static Address addressOf(const sockaddr_in& at) {
    Address result;
    memcpy(result.bytes, &at, sizeof at);
    return result;
  }
  void exchangeSockets() {
    path.flush();
    path.pause();
    path.closeSockets();
    path.setSockets(openSocket(own), -1);
    CHECK(path.start());
  }

  fuzz::Input& in;
  std::atomic<uint32_t> wakes{0};
  Path path;
  int host = -1;
  sockaddr_in own{};
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Input in(data, size);
  const uint32_t descriptors = entries("/proc/self/fd");
  const uint32_t threads = entries("/proc/self/task");
  {
    Bench bench(in);
    for (uint32_t steps = 0; !in.isEmpty() && steps < 60; steps++) bench.step();
  }
  CHECK(entries("/proc/self/fd") == descriptors);
  // The kernel takes a joined thread off this list a moment later.
  for (uint32_t tries = 0; entries("/proc/self/task") != threads; tries++) {
    CHECK(tries < 5000);
    usleep(1000);
  }
  return 0;
}
