// The TUN device: open, batch write, state. With offloads (a virtio header before each packet) where the kernel has them.
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "coalesce.h"
#include "glue.h"
#include "slot.h"

namespace pintail {

namespace {
// TUN_F_USO4 and TUN_F_USO6 of newer headers.
constexpr unsigned long kUso4 = 0x20;
constexpr unsigned long kUso6 = 0x40;
}  // namespace

// openTun(name, mtu, kind) → { fd, name, offload }. Kind is "tun" (IP packets), "tun-plain" (without offloads) or "tap" (Ethernet
// frames, for the laboratory). Offload 1: each packet carries a virtio header (offload.h), TCP comes and goes in super-packets;
// 2: UDP too. The interface is down until bringUp(name), so that it can be configured before.
napi_value openTun(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  std::string name;
  int64_t mtu = 0;
  std::string kind;
  if (!arguments.readText(0, name) || !arguments.readInt(1, mtu) || !arguments.readText(2, kind)) return nullptr;
  if (name.size() >= IFNAMSIZ) return throwErrno(env, "interface name", ENAMETOOLONG);
  if (kind != "tun" && kind != "tun-plain" && kind != "tap") return throwErrno(env, "interface kind", EINVAL);

  Descriptor fd(open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK));
  if (fd.get() < 0) return throwErrno(env, "/dev/net/tun", errno);
  ifreq request{};
  memcpy(request.ifr_name, name.c_str(), name.size() + 1);
  const bool wantsOffload = kind == "tun";
  const int flags = kind == "tap" ? IFF_TAP | IFF_NO_PI : IFF_TUN | IFF_NO_PI | (wantsOffload ? IFF_VNET_HDR : 0);
  request.ifr_flags = static_cast<short>(flags);
  if (ioctl(fd.get(), TUNSETIFF, &request) != 0) return throwErrno(env, "TUNSETIFF", errno);
  int offload = 0;
  if (wantsOffload) {
    const unsigned long tcp = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6;
    offload = ioctl(fd.get(), TUNSETOFFLOAD, tcp | kUso4 | kUso6) == 0 ? 2 : 1;
    if (offload == 1 && ioctl(fd.get(), TUNSETOFFLOAD, tcp) != 0) return throwErrno(env, "TUNSETOFFLOAD", errno);
  }

  ifreq settings{};
  memcpy(settings.ifr_name, request.ifr_name, IFNAMSIZ);
  Descriptor control(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (control.get() < 0) return throwErrno(env, "socket", errno);
  settings.ifr_mtu = static_cast<int>(mtu);
  if (ioctl(control.get(), SIOCSIFMTU, &settings) != 0) return throwErrno(env, "SIOCSIFMTU", errno);

  napi_value result = nullptr;
  napi_create_object(env, &result);
  setMember(env, result, "name", text(env, request.ifr_name));
  setMember(env, result, "offload", number(env, offload));
  setMember(env, result, "fd", number(env, fd.release()));
  return result;
}

// bringUp(name)
napi_value bringUp(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  std::string name;
  if (!arguments.readText(0, name)) return nullptr;
  if (name.size() >= IFNAMSIZ) return throwErrno(env, "interface name", ENAMETOOLONG);
  ifreq request{};
  memcpy(request.ifr_name, name.c_str(), name.size() + 1);
  Descriptor control(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (control.get() < 0) return throwErrno(env, "socket", errno);
  if (ioctl(control.get(), SIOCGIFFLAGS, &request) != 0) return throwErrno(env, "SIOCGIFFLAGS", errno);
  request.ifr_flags |= IFF_UP;
  if (ioctl(control.get(), SIOCSIFFLAGS, &request) != 0) return throwErrno(env, "SIOCSIFFLAGS", errno);
  return nullptr;
}

// writeTun(fd, slots, slotBytes, count, offload 0|1|2) → 0, or the last error; packets after a failed one are still tried.
// With offload the slots are scratch: joined packets are changed in place.
napi_value writeTun(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  int64_t fd = -1;
  int64_t slotBytes = 0;
  int64_t count = 0;
  int64_t offload = 0;
  uint8_t* data = nullptr;
  size_t size = 0;
  if (!arguments.readInt(0, fd) || !arguments.readBuffer(1, data, size) || !arguments.readInt(2, slotBytes) ||
      !arguments.readInt(3, count) || !arguments.readInt(4, offload)) {
    return nullptr;
  }
  if (slotBytes <= kSlotHeader || count < 0 || static_cast<uint64_t>(count) * static_cast<uint64_t>(slotBytes) > size) {
    return throwErrno(env, "writeTun", EINVAL);
  }
  if (offload != 0) {
    Coalescer coalescer(static_cast<int>(fd), offload > 1);
    for (int64_t i = 0; i < count; i++) {
      uint8_t* slot = data + i * slotBytes;
      uint32_t length = 0;
      memcpy(&length, slot, sizeof length);
      if (length > 0 && length <= slotBytes - kSlotHeader) coalescer.add(slot + kSlotHeader, length);
    }
    coalescer.flush();
    return number(env, coalescer.error());
  }
  int lastError = 0;
  for (int64_t i = 0; i < count; i++) {
    const uint8_t* slot = data + i * slotBytes;
    uint32_t length = 0;
    memcpy(&length, slot, sizeof length);
    if (length > slotBytes - kSlotHeader) continue;
    ssize_t written = 0;
    do {
      written = write(static_cast<int>(fd), slot + kSlotHeader, length);
    } while (written < 0 && errno == EINTR);
    if (written < 0) lastError = errno;
  }
  return number(env, lastError);
}

// tunIsUp(fd): asks for the flags under the name the interface has now. False also when it is gone; undefined = cannot tell.
napi_value tunIsUp(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  int64_t fd = -1;
  if (!arguments.readInt(0, fd)) return nullptr;
  ifreq request{};
  Descriptor control(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (control.get() < 0) return nullptr;  // no descriptor left: nothing can be said
  const bool known = ioctl(static_cast<int>(fd), TUNGETIFF, &request) == 0 && ioctl(control.get(), SIOCGIFFLAGS, &request) == 0;
  napi_value result = nullptr;
  napi_get_boolean(env, known && (request.ifr_flags & IFF_UP) != 0, &result);
  return result;
}

}  // namespace pintail
