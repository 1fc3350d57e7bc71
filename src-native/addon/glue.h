// The few N-API helpers the addon's files share: reading arguments, throwing errno.
#pragma once

#include <node_api.h>

#include <cstdint>
#include <string>

namespace pintail {

// Arguments of one call; reading a wrong type throws a TypeError in JavaScript and answers false.
class Arguments {
 public:
  Arguments(napi_env env, napi_callback_info info);

  bool readInt(size_t index, int64_t& value);
  bool readText(size_t index, std::string& value);
  bool readBuffer(size_t index, uint8_t*& data, size_t& size);  // ArrayBuffer
  bool readBytes(size_t index, uint8_t*& data, size_t& size);   // Uint8Array; an empty one has no address
  bool readExternal(size_t index, void*& pointer);
  napi_value at(size_t index) const { return values_[index]; }

 private:
  static constexpr size_t kMax = 6;
  bool complain(size_t index, const char* wanted);

  napi_env env_;
  size_t count_ = kMax;
  napi_value values_[kMax] = {};
};

// Throws an Error with `code` (EPERM …), `errno` and a message "<what>: <text>"; answers nullptr to return at once.
napi_value throwErrno(napi_env env, const char* what, int error);

napi_value number(napi_env env, double value);
napi_value text(napi_env env, const std::string& value);
void setMember(napi_env env, napi_value object, const char* name, napi_value value);

// A file descriptor that closes itself unless released.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor();
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }
  int release() {
    const int fd = fd_;
    fd_ = -1;
    return fd;
  }

 private:
  int fd_;
};

// The parts; each answers one exported function's work.
napi_value openTun(napi_env env, napi_callback_info info);
napi_value bringUp(napi_env env, napi_callback_info info);
napi_value writeTun(napi_env env, napi_callback_info info);
napi_value tunIsUp(napi_env env, napi_callback_info info);
napi_value openUdp(napi_env env, napi_callback_info info);
napi_value sendUdp(napi_env env, napi_callback_info info);
napi_value startReader(napi_env env, napi_callback_info info);
napi_value stopReader(napi_env env, napi_callback_info info);
napi_value readerTruncated(napi_env env, napi_callback_info info);
napi_value peerCredentials(napi_env env, napi_callback_info info);
napi_value setSocketMark(napi_env env, napi_callback_info info);
napi_value createMarkedSocket(napi_env env, napi_callback_info info);
napi_value hasAead(napi_env env, napi_callback_info info);
napi_value createAead(napi_env env, napi_callback_info info);
napi_value seal(napi_env env, napi_callback_info info);
napi_value openSealed(napi_env env, napi_callback_info info);
napi_value closeFd(napi_env env, napi_callback_info info);
napi_value sendUnixDatagram(napi_env env, napi_callback_info info);
napi_value icmpEcho(napi_env env, napi_callback_info info);
napi_value startNetworkWatch(napi_env env, napi_callback_info info);
napi_value stopNetworkWatch(napi_env env, napi_callback_info info);

}  // namespace pintail
