// Small system calls that Node has no API for.
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>

#include "glue.h"

namespace pintail {

// peerCredentials(fd) → { pid, uid, gid } of whoever connected to a unix socket, taken at connect time.
napi_value peerCredentials(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  int64_t fd = -1;
  if (!arguments.readInt(0, fd)) return nullptr;
  ucred credentials{};
  socklen_t length = sizeof credentials;
  if (getsockopt(static_cast<int>(fd), SOL_SOCKET, SO_PEERCRED, &credentials, &length) != 0) {
    return throwErrno(env, "SO_PEERCRED", errno);
  }
  napi_value result = nullptr;
  napi_create_object(env, &result);
  setMember(env, result, "pid", number(env, credentials.pid));
  setMember(env, result, "uid", number(env, credentials.uid));
  setMember(env, result, "gid", number(env, credentials.gid));
  return result;
}

// setSocketMark(fd, mark)
napi_value setSocketMark(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  int64_t fd = -1;
  int64_t mark = 0;
  if (!arguments.readInt(0, fd) || !arguments.readInt(1, mark)) return nullptr;
  const uint32_t value = static_cast<uint32_t>(mark);
  if (setsockopt(static_cast<int>(fd), SOL_SOCKET, SO_MARK, &value, sizeof value) != 0) {
    return throwErrno(env, "SO_MARK", errno);
  }
  return nullptr;
}

// createMarkedSocket(family 4|6, mark) → fd of an unconnected TCP socket.
napi_value createMarkedSocket(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  int64_t family = 0;
  int64_t mark = 0;
  if (!arguments.readInt(0, family) || !arguments.readInt(1, mark)) return nullptr;
  Descriptor fd(socket(family == 6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (fd.get() < 0) return throwErrno(env, "socket", errno);
  const uint32_t value = static_cast<uint32_t>(mark);
  if (value != 0 && setsockopt(fd.get(), SOL_SOCKET, SO_MARK, &value, sizeof value) != 0) {
    return throwErrno(env, "SO_MARK", errno);
  }
  return number(env, fd.release());
}

// closeFd(fd): for descriptors that no Node object owns.
napi_value closeFd(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  int64_t fd = -1;
  if (!arguments.readInt(0, fd)) return nullptr;
  if (fd > 2) ::close(static_cast<int>(fd));
  return nullptr;
}

// sendUnixDatagram(path, text): one datagram, never waits. A first '@' stands for the abstract name space.
napi_value sendUnixDatagram(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  std::string path;
  std::string message;
  if (!arguments.readText(0, path) || !arguments.readText(1, message)) return nullptr;
  sockaddr_un address{};
  if (path.empty() || path.size() >= sizeof address.sun_path) return throwErrno(env, "unix datagram", ENAMETOOLONG);
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  if (path.front() == '@') address.sun_path[0] = '\0';
  const Descriptor fd(socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (fd.get() < 0) return throwErrno(env, "socket", errno);
  const socklen_t length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size());
  if (sendto(fd.get(), message.data(), message.size(), MSG_NOSIGNAL, reinterpret_cast<const sockaddr*>(&address), length) < 0) {
    return throwErrno(env, "unix datagram", errno);
  }
  return nullptr;
}

}  // namespace pintail
