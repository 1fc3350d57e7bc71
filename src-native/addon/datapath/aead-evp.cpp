// OpenSSL through its public interface, as node exports it. A context per key and direction, so a packet costs four calls and
// no allocation; a context serves one packet at a time, hence the locks, which are hardly ever contended. The judge of the
// other back ends, and what remains where they are not to be had.
#include <cstring>
#include <mutex>

#include "../evp.h"
#include "aead.h"

namespace pintail {

namespace {

class Context {
 public:
  Context() : context_(evp().newContext()) {}
  ~Context() { evp().freeContext(context_); }  // wipes the key
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  bool setSealKey(const uint8_t* key) {
    return context_ != nullptr && evp().encryptInit(context_, evp().chacha20Poly1305(), nullptr, key, nullptr) == 1;
  }
  bool setOpenKey(const uint8_t* key) {
    return context_ != nullptr && evp().decryptInit(context_, evp().chacha20Poly1305(), nullptr, key, nullptr) == 1;
  }

  bool seal(const uint8_t* nonce, const uint8_t* more, size_t moreSize, uint8_t* data, size_t size) {
    int written = 0;
    std::lock_guard<std::mutex> lock(mutex_);
    return evp().encryptInit(context_, nullptr, nullptr, nullptr, nonce) == 1 &&
           (moreSize == 0 || evp().encryptUpdate(context_, nullptr, &written, more, static_cast<int>(moreSize)) == 1) &&
           (size == 0 || evp().encryptUpdate(context_, data, &written, data, static_cast<int>(size)) == 1) &&
           evp().encryptFinal(context_, data + size, &written) == 1 &&
           evp().control(context_, kEvpGetTag, kTagSize, data + size) == 1;
  }

  bool open(const uint8_t* nonce, const uint8_t* more, size_t moreSize, uint8_t* data, size_t size) {
    int written = 0;
    std::lock_guard<std::mutex> lock(mutex_);
    return evp().decryptInit(context_, nullptr, nullptr, nullptr, nonce) == 1 &&
           evp().control(context_, kEvpSetTag, kTagSize, data + size) == 1 &&
           (moreSize == 0 || evp().decryptUpdate(context_, nullptr, &written, more, static_cast<int>(moreSize)) == 1) &&
           (size == 0 || evp().decryptUpdate(context_, data, &written, data, static_cast<int>(size)) == 1) &&
           evp().decryptFinal(context_, data + size, &written) == 1;
  }

 private:
  void* context_;
  std::mutex mutex_;
};

class EvpAead final : public Aead {
 public:
  bool setKeys(const uint8_t* sendKey, const uint8_t* receiveKey) {
    return seal_.setSealKey(sendKey) && open_.setOpenKey(receiveKey);
  }
  bool seal(const uint8_t* nonce, uint8_t* data, size_t size) override { return seal_.seal(nonce, nullptr, 0, data, size); }
  bool open(const uint8_t* nonce, uint8_t* data, size_t size) override { return open_.open(nonce, nullptr, 0, data, size); }

 private:
  Context seal_;
  Context open_;
};

std::unique_ptr<Aead> create(const uint8_t* sendKey, const uint8_t* receiveKey) {
  auto aead = std::make_unique<EvpAead>();
  if (!aead->setKeys(sendKey, receiveKey)) return nullptr;
  return aead;
}

bool sealWith(const uint8_t* key, const uint8_t* nonce, const uint8_t* more, size_t moreSize, uint8_t* data, size_t size) {
  Context context;
  return context.setSealKey(key) && context.seal(nonce, more, moreSize, data, size);
}

bool openWith(const uint8_t* key, const uint8_t* nonce, const uint8_t* more, size_t moreSize, uint8_t* data, size_t size) {
  Context context;
  return context.setOpenKey(key) && context.open(nonce, more, moreSize, data, size);
}

constexpr AeadBackend kBackend{"openssl-evp", create, sealWith, openWith};

}  // namespace

const AeadBackend* evpAead() { return evp().complete ? &kBackend : nullptr; }

}  // namespace pintail
