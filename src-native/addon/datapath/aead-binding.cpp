// The AEADs by themselves for JavaScript: why one is missing, many packets at once for tests, nanoseconds for the bench.
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <string>
#include <vector>

#include "../glue.h"
#include "aead.h"
#include "binding.h"

namespace pintail {

namespace {

bool readBackend(napi_env env, Arguments& arguments, const AeadBackend*& backend) {
  std::string name;
  if (!arguments.readText(0, name)) return false;
  backend = chooseAead(name.c_str());
  if (backend == nullptr) throwErrno(env, "AEAD", ENOSYS);
  return backend != nullptr;
}

}  // namespace

// aeadProblem() → why there is no ipsec-mb, or undefined when there is.
napi_value aeadProblem(napi_env env, napi_callback_info) {
  const char* problem = ipsecMbProblem();
  return problem == nullptr ? nullptr : text(env, problem);
}

// aeadBatch(backend, seal 0 | open 1, records) → the records worked on. Each: 32 key · 12 nonce · 4 size little endian ·
// size data · 16 tag. Opened: the tag becomes ones, or data and tag zeros when it is not authentic.
napi_value aeadBatch(napi_env env, napi_callback_info info) {
  constexpr size_t kHead = kKeySize + kNonceSize + 4;
  Arguments arguments(env, info);
  const AeadBackend* backend = nullptr;
  int64_t opens = 0;
  uint8_t* bytes = nullptr;
  size_t total = 0;
  if (!readBackend(env, arguments, backend) || !arguments.readInt(1, opens) || !arguments.readBytes(2, bytes, total)) {
    return nullptr;
  }
  void* copy = nullptr;
  napi_value result = nullptr;
  if (napi_create_arraybuffer(env, total, &copy, &result) != napi_ok) return throwErrno(env, "AEAD", ENOMEM);
  if (total > 0) memcpy(copy, bytes, total);
  uint8_t* at = static_cast<uint8_t*>(copy);
  for (size_t left = total; left > 0;) {
    uint32_t size = 0;
    if (left >= kHead) memcpy(&size, at + kKeySize + kNonceSize, sizeof size);
    if (left < kHead + kTagSize || left - kHead - kTagSize < size) return throwErrno(env, "AEAD", EINVAL);
    const uint8_t* nonce = at + kKeySize;
    uint8_t* data = at + kHead;
    const std::unique_ptr<Aead> aead = backend->create(at, at);
    if (aead == nullptr) return throwErrno(env, "AEAD", ENOMEM);
    if (opens != 0) {
      if (aead->open(nonce, data, size)) {
        memset(data + size, 1, kTagSize);
      } else {
        memset(data, 0, size + kTagSize);
      }
    } else if (!aead->seal(nonce, data, size)) {
      return throwErrno(env, "AEAD", EIO);
    }
    at += kHead + size + kTagSize;
    left -= kHead + size + kTagSize;
  }
  return result;
}

// aeadTime(backend, seal 0 | open 1, size, packets) → nanoseconds a packet, copying it in place included.
napi_value aeadTime(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  const AeadBackend* backend = nullptr;
  int64_t opens = 0;
  int64_t size = 0;
  int64_t packets = 0;
  if (!readBackend(env, arguments, backend) || !arguments.readInt(1, opens) || !arguments.readInt(2, size) ||
      !arguments.readInt(3, packets)) {
    return nullptr;
  }
  if (size < 0 || size > 65535 || packets < 1) return throwErrno(env, "AEAD", EINVAL);
  const std::vector<uint8_t> key(kKeySize, 7);
  const std::unique_ptr<Aead> aead = backend->create(key.data(), key.data());
  if (aead == nullptr) return throwErrno(env, "AEAD", ENOMEM);
  uint8_t nonce[kNonceSize] = {};
  const size_t length = static_cast<size_t>(size);
  std::vector<uint8_t> packet(length + kTagSize, 1);
  if (opens != 0 && !aead->seal(nonce, packet.data(), length)) return throwErrno(env, "AEAD", EIO);
  std::vector<uint8_t> work(packet);
  const auto startedAt = std::chrono::steady_clock::now();
  for (int64_t i = 0; i < packets; i++) {
    std::copy(packet.begin(), packet.end(), work.begin());
    if (opens == 0) memcpy(nonce, &i, sizeof i);
    if (!(opens != 0 ? aead->open(nonce, work.data(), length) : aead->seal(nonce, work.data(), length))) {
      return throwErrno(env, "AEAD", EIO);
    }
  }
  const std::chrono::duration<double, std::nano> elapsed = std::chrono::steady_clock::now() - startedAt;
  return number(env, elapsed.count() / static_cast<double>(packets));
}

}  // namespace pintail
