// Tells when something about links, addresses or routes of this network namespace changes: a thread sleeps on a netlink
// socket, so that nobody has to look every second. What changed is for JavaScript to find out.
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <new>
#include <thread>

#include "glue.h"

namespace pintail {

namespace {

// Changes come in bursts: a new address brings routes along.
constexpr long kSettleNs = 20'000'000;

class NetworkWatch {
 public:
  NetworkWatch(int socket, int stop) : socket_(socket), stop_(stop) {}

  bool start(napi_env env, napi_value callback) {
    env_ = env;
    if (napi_create_threadsafe_function(env, callback, nullptr, text(env, "pintail network watch"), 0, 1, nullptr, nullptr, nullptr, nullptr,
                                        &call_) != napi_ok) {
      return false;
    }
    napi_unref_threadsafe_function(env, call_);
    napi_add_env_cleanup_hook(env, onEnvironmentEnd, this);
    thread_ = std::thread([this] { run(); });
    return true;
  }

  // The thread has ended when this returns. Twice is harmless.
  void stop() {
    if (call_ == nullptr) return;
    const uint64_t one = 1;
    const ssize_t written = write(stop_.get(), &one, sizeof one);
    static_cast<void>(written);  // the counter cannot be full
    thread_.join();
    napi_release_threadsafe_function(call_, napi_tsfn_abort);
    call_ = nullptr;
  }

  static void onFinalize(napi_env env, void* data, void*) {
    NetworkWatch* self = static_cast<NetworkWatch*>(data);
    self->stop();
    napi_remove_env_cleanup_hook(env, onEnvironmentEnd, self);
    delete self;
  }

 private:
  static void onEnvironmentEnd(void* self) { static_cast<NetworkWatch*>(self)->stop(); }

  void run() {
    pthread_setname_np(pthread_self(), "pintail-netlink");
    pollfd entries[2] = {{socket_.get(), POLLIN, 0}, {stop_.get(), POLLIN, 0}};
    for (;;) {
      if (poll(entries, 2, -1) < 0 && errno != EINTR) return;
      if (entries[1].revents != 0) return;
      if (entries[0].revents == 0) continue;
      const timespec settle{0, kSettleNs};
      nanosleep(&settle, nullptr);
      // Also ENOBUFS, more changes than the socket holds, only means: something changed.
      uint8_t buffer[8192];
      while (recv(socket_.get(), buffer, sizeof buffer, MSG_DONTWAIT) > 0 || errno == ENOBUFS || errno == EINTR) errno = 0;
      napi_call_threadsafe_function(call_, nullptr, napi_tsfn_nonblocking);
    }
  }

  Descriptor socket_;
  Descriptor stop_;
  napi_env env_ = nullptr;
  napi_threadsafe_function call_ = nullptr;
  std::thread thread_;
};

}  // namespace

// startNetworkWatch(() => void) → handle
napi_value startNetworkWatch(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  Descriptor fd(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE));
  if (fd.get() < 0) return throwErrno(env, "netlink", errno);
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  constexpr unsigned ipv6Rules = 1u << (RTNLGRP_IPV6_RULE - 1);  // has no RTMGRP_ name
  address.nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV4_RULE | RTMGRP_IPV6_IFADDR |
                      RTMGRP_IPV6_ROUTE | ipv6Rules;
  if (bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) return throwErrno(env, "netlink", errno);
  Descriptor stop(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (stop.get() < 0) return throwErrno(env, "eventfd", errno);
  NetworkWatch* watch = new (std::nothrow) NetworkWatch(fd.release(), stop.release());
  if (watch == nullptr) return throwErrno(env, "network watch", ENOMEM);
  if (!watch->start(env, arguments.at(0))) {
    delete watch;
    return throwErrno(env, "network watch", EINVAL);
  }
  napi_value handle = nullptr;
  napi_create_external(env, watch, NetworkWatch::onFinalize, nullptr, &handle);
  return handle;
}

// stopNetworkWatch(handle): no call comes afterwards. Twice is harmless.
napi_value stopNetworkWatch(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  void* pointer = nullptr;
  if (arguments.readExternal(0, pointer)) static_cast<NetworkWatch*>(pointer)->stop();
  return nullptr;
}

}  // namespace pintail
