// ChaCha20-Poly1305 for transport data, by the OpenSSL that is inside node: its EVP_* symbols are exported. Contexts are
// made once per key, so a packet costs two or three calls and no allocation. Not there (another runtime, BoringSSL):
// hasAead() is false and JavaScript uses node:crypto.
#include <cstring>

#include "evp.h"
#include "glue.h"

namespace pintail {

namespace {

constexpr size_t kKeySize = 32;
constexpr size_t kNonceSize = 12;
constexpr size_t kTagSize = 16;
constexpr size_t kHeaderSize = 16;
constexpr size_t kMaxPacket = 1 << 17;
// Both directions of one keypair.
class Aead {
 public:
  Aead() : seal_(evp().newContext()), open_(evp().newContext()) {}
  ~Aead() {
    evp().freeContext(seal_);  // wipes the key
    evp().freeContext(open_);
  }
  Aead(const Aead&) = delete;
  Aead& operator=(const Aead&) = delete;

  bool setKeys(const uint8_t* sendKey, const uint8_t* receiveKey) {
    return seal_ != nullptr && open_ != nullptr &&
           evp().encryptInit(seal_, evp().chacha20Poly1305(), nullptr, sendKey, nullptr) == 1 &&
           evp().decryptInit(open_, evp().chacha20Poly1305(), nullptr, receiveKey, nullptr) == 1;
  }

  // `sealed` receives size + tag.
  bool seal(const uint8_t* counter, const uint8_t* plain, size_t size, uint8_t* sealed) {
    uint8_t nonce[kNonceSize] = {};
    memcpy(nonce + 4, counter, 8);
    int written = 0;
    return evp().encryptInit(seal_, nullptr, nullptr, nullptr, nonce) == 1 &&
           (size == 0 || evp().encryptUpdate(seal_, sealed, &written, plain, static_cast<int>(size)) == 1) &&
           evp().encryptFinal(seal_, sealed + size, &written) == 1 &&
           evp().control(seal_, kEvpGetTag, kTagSize, sealed + size) == 1;
  }

  // `plain` receives size bytes; they are worthless unless the answer is true.
  bool open(const uint8_t* counter, const uint8_t* sealed, size_t size, uint8_t* plain) {
    uint8_t nonce[kNonceSize] = {};
    memcpy(nonce + 4, counter, 8);
    uint8_t tag[kTagSize];
    memcpy(tag, sealed + size, kTagSize);
    int written = 0;
    return evp().decryptInit(open_, nullptr, nullptr, nullptr, nonce) == 1 &&
           evp().control(open_, kEvpSetTag, kTagSize, tag) == 1 &&
           (size == 0 || evp().decryptUpdate(open_, plain, &written, sealed, static_cast<int>(size)) == 1) &&
           evp().decryptFinal(open_, plain + size, &written) == 1;
  }

 private:
  void* seal_;
  void* open_;
};

napi_value boolean(napi_env env, bool value) {
  napi_value result = nullptr;
  napi_get_boolean(env, value, &result);
  return result;
}

}  // namespace

napi_value hasAead(napi_env env, napi_callback_info) { return boolean(env, evp().complete); }

// createAead(sendKey, receiveKey) → handle; the keys are wiped when it is collected.
napi_value createAead(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  uint8_t* sendKey = nullptr;
  uint8_t* receiveKey = nullptr;
  size_t sendSize = 0;
  size_t receiveSize = 0;
  if (!arguments.readBytes(0, sendKey, sendSize) || !arguments.readBytes(1, receiveKey, receiveSize)) return nullptr;
  if (!evp().complete) return throwErrno(env, "AEAD", ENOSYS);
  if (sendSize != kKeySize || receiveSize != kKeySize) return throwErrno(env, "AEAD key", EINVAL);
  Aead* aead = new Aead();
  if (!aead->setKeys(sendKey, receiveKey)) {
    delete aead;
    return throwErrno(env, "AEAD", ENOMEM);
  }
  napi_value handle = nullptr;
  napi_create_external(
      env, aead, [](napi_env, void* data, void*) { delete static_cast<Aead*>(data); }, nullptr, &handle);
  return handle;
}

// seal(handle, plain, target): target is 16 header bytes, of which the last 8 are the counter, then room for size + 16.
napi_value seal(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  void* handle = nullptr;
  uint8_t* plain = nullptr;
  uint8_t* target = nullptr;
  size_t size = 0;
  size_t room = 0;
  if (!arguments.readExternal(0, handle) || !arguments.readBytes(1, plain, size) ||
      !arguments.readBytes(2, target, room)) {
    return nullptr;
  }
  if (size > kMaxPacket || room != kHeaderSize + size + kTagSize) return throwErrno(env, "seal", EINVAL);
  return boolean(env, static_cast<Aead*>(handle)->seal(target + 8, plain, size, target + kHeaderSize));
}

// open(handle, datagram, target) → is it authentic? target must hold datagram.length - 32 bytes.
napi_value openSealed(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  void* handle = nullptr;
  uint8_t* datagram = nullptr;
  uint8_t* target = nullptr;
  size_t size = 0;
  size_t room = 0;
  if (!arguments.readExternal(0, handle) || !arguments.readBytes(1, datagram, size) ||
      !arguments.readBytes(2, target, room)) {
    return nullptr;
  }
  if (size < kHeaderSize + kTagSize || size > kMaxPacket || room < size - kHeaderSize - kTagSize) {
    return throwErrno(env, "open", EINVAL);
  }
  const size_t plainSize = size - kHeaderSize - kTagSize;
  return boolean(env, static_cast<Aead*>(handle)->open(datagram + 8, datagram + kHeaderSize, plainSize, target));
}

}  // namespace pintail
