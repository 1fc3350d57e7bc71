// ChaCha20-Poly1305 for transport data, in place, by one of two libraries that must agree: OpenSSL inside node, or
// Debian's libipsec-mb where it is installed. No cipher of our own. [docs/decisions/0005-aead-back-ends.md]
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
  // `data` has `size` bytes and room for the tag behind them; both are worthless unless the answer is true.
  virtual bool seal(const uint8_t* nonce, uint8_t* data, size_t size) = 0;
  // `data` has `size` bytes and the tag behind them, which is gone afterwards; worthless unless the answer is true.
  virtual bool open(const uint8_t* nonce, uint8_t* data, size_t size) = 0;
};

struct AeadBackend {
  const char* name;
  std::unique_ptr<Aead> (*create)(const uint8_t* sendKey, const uint8_t* receiveKey);
  // The whole construction with associated data, for test vectors: transport data has none.
  bool (*sealWith)(const uint8_t* key, const uint8_t* nonce, const uint8_t* more, size_t moreSize, uint8_t* data, size_t size);
  bool (*openWith)(const uint8_t* key, const uint8_t* nonce, const uint8_t* more, size_t moreSize, uint8_t* data, size_t size);
};

// Each is nullptr where the library is not there, or is not exactly one we know.
const AeadBackend* evpAead();           // "openssl-evp": OpenSSL through its public interface
const AeadBackend* opensslPartsAead();  // "openssl": its ChaCha20 and its Poly1305 by themselves, faster
const AeadBackend* ipsecMbAead();       // "ipsec-mb"

// Why there is no ipsec-mb, for people; nullptr when there is.
const char* ipsecMbProblem();
// Whether it has its fast kernels on this processor. Without them OpenSSL is as fast.
bool ipsecMbIsFast();

// By name; "openssl" is whichever of its two there is, empty = the fastest. nullptr: there is none of that name.
const AeadBackend* chooseAead(const char* name);

// Whether both make the same of packets around all block boundaries, good and forged.
bool agree(const AeadBackend& one, const AeadBackend& other);
// For tags: takes the same time wherever they differ.
bool sameTag(const uint8_t* one, const uint8_t* other);

}  // namespace pintail
