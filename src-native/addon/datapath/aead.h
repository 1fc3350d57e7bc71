// ChaCha20-Poly1305 for transport data, in place, by one of two libraries that must agree: OpenSSL inside node, or
// Debian's libipsec-mb where it is installed. No cipher of our own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

namespace pintail {

constexpr size_t kTagSize = 16;
constexpr size_t kKeySize = 32;
constexpr size_t kNonceSize = 12;

// Both directions of one keypair. seal() may be called from several threads at once, and so may open().
class Aead {
 public:
  Aead() = default;
  virtual ~Aead() = default;
  Aead(const Aead&) = delete;
  Aead& operator=(const Aead&) = delete;
  // `data` has `size` bytes and room for the tag behind them.
  virtual bool seal(const uint8_t* nonce, uint8_t* data, size_t size) = 0;
  // `data` has `size` bytes and the tag behind them; worthless unless the answer is true.
  virtual bool open(const uint8_t* nonce, uint8_t* data, size_t size) = 0;
};

struct AeadBackend {
  const char* name;
  std::unique_ptr<Aead> (*create)(const uint8_t* sendKey, const uint8_t* receiveKey);
  // The whole construction with associated data, for test vectors: transport data has none.
  bool (*sealWith)(const uint8_t* key, const uint8_t* nonce, const uint8_t* more, size_t moreSize, uint8_t* data, size_t size);
  bool (*openWith)(const uint8_t* key, const uint8_t* nonce, const uint8_t* more, size_t moreSize, uint8_t* data, size_t size);
};

// nullptr where the library is not there, or is not exactly one we know.
const AeadBackend* opensslAead();
const AeadBackend* ipsecMbAead();
// By name ("openssl", "ipsec-mb"); empty = the fastest there is. nullptr: there is none of that name.
const AeadBackend* chooseAead(const char* name);

}  // namespace pintail
