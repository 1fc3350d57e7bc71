// One ICMPv4 echo, measured on a worker thread: how far a relay is when neither UDP nor much else comes back.
//
// A datagram socket first (any user, where net.ipv4.ping_group_range allows it), then a raw one (CAP_NET_RAW).
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <memory>
#include <random>
#include <string>

#include "glue.h"
#include "icmp-answer.h"

namespace pintail {
namespace {

struct Echo {
  in_addr address{};
  uint32_t mark = 0;
  int timeoutMs = 0;
  double milliseconds = -1;  // below zero: no answer
  int error = 0;
  napi_deferred deferred = nullptr;
  napi_async_work work = nullptr;
};

using Clock = std::chrono::steady_clock;

uint16_t checksum(const void* data, size_t length) {
  const auto* bytes = static_cast<const uint8_t*>(data);
  uint32_t sum = 0;
  for (size_t i = 0; i + 1 < length; i += 2) sum += static_cast<uint32_t>(bytes[i] << 8 | bytes[i + 1]);
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return htons(static_cast<uint16_t>(~sum));
}

void measure(Echo& echo) {
  int used = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_ICMP);
  const bool raw = used < 0;
  if (raw) used = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP);
  const Descriptor owner(used);
  if (used < 0) {
    echo.error = errno;
    return;
  }
  if (echo.mark != 0 && setsockopt(used, SOL_SOCKET, SO_MARK, &echo.mark, sizeof echo.mark) != 0) {
    echo.error = errno;
    return;
  }
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_addr = echo.address;
  if (connect(used, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0) {
    echo.error = errno;
    return;
  }
  EchoMessage message;
  std::random_device random;
  message.token = static_cast<uint64_t>(random()) << 32 | random();
  message.header.type = ICMP_ECHO;
  message.header.un.echo.id = static_cast<uint16_t>(random());
  message.header.checksum = checksum(&message, sizeof message);
  const auto started = Clock::now();
  if (send(used, &message, sizeof message, 0) < 0) {
    echo.error = errno;
    return;
  }
  for (;;) {
    const auto passed = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - started).count();
    const int left = echo.timeoutMs - static_cast<int>(passed);
    if (left <= 0) return;
    pollfd wanted{used, POLLIN, 0};
    const int ready = poll(&wanted, 1, left);
    if (ready == 0) return;
    if (ready < 0) {
      if (errno == EINTR) continue;
      echo.error = errno;
      return;
    }
    uint8_t packet[1500];
    const ssize_t length = recv(used, packet, sizeof packet, 0);
    if (length < 0) {
      if (errno == EINTR) continue;
      echo.error = errno;  // an ICMP error came back: unreachable
      return;
    }
    if (isEchoAnswer(packet, static_cast<size_t>(length), raw, message.token)) {
      echo.milliseconds = std::chrono::duration<double, std::milli>(Clock::now() - started).count();
      return;
    }
  }
}

void finish(napi_env env, napi_status, void* data) {
  const std::unique_ptr<Echo> echo(static_cast<Echo*>(data));
  if (echo->error == 0) {
    napi_value result = nullptr;
    if (echo->milliseconds < 0) napi_get_undefined(env, &result);
    else result = number(env, echo->milliseconds);
    napi_resolve_deferred(env, echo->deferred, result);
  } else {
    napi_value error = nullptr;
    napi_value code = text(env, strerrorname_np(echo->error));
    napi_create_error(env, code, text(env, std::string("ICMP echo: ") + strerror(echo->error)), &error);
    napi_reject_deferred(env, echo->deferred, error);
  }
  napi_delete_async_work(env, echo->work);
}

}  // namespace

// icmpEcho(address, timeoutMs, mark) → Promise of milliseconds, or of undefined without an answer.
napi_value icmpEcho(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  std::string address;
  int64_t timeoutMs = 0;
  int64_t mark = 0;
  if (!arguments.readText(0, address) || !arguments.readInt(1, timeoutMs) || !arguments.readInt(2, mark)) return nullptr;
  auto echo = std::make_unique<Echo>();
  if (inet_pton(AF_INET, address.c_str(), &echo->address) != 1) return throwErrno(env, "IPv4 address", EINVAL);
  echo->timeoutMs = static_cast<int>(timeoutMs);
  echo->mark = static_cast<uint32_t>(mark);
  napi_value promise = nullptr;
  napi_create_promise(env, &echo->deferred, &promise);
  napi_create_async_work(
      env, nullptr, text(env, "icmpEcho"), [](napi_env, void* data) { measure(*static_cast<Echo*>(data)); }, finish, echo.get(),
      &echo->work);
  napi_queue_async_work(env, echo->work);
  echo.release();  // finish() owns it now
  return promise;
}

}  // namespace pintail
