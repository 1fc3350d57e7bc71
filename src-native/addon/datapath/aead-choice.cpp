// Which AEAD to use, and the test a library has to pass before it is one of them.
#include <cstring>
#include <vector>

#include "aead.h"

namespace pintail {

const AeadBackend* chooseAead(const char* name) {
  const AeadBackend* openssl = opensslPartsAead() != nullptr ? opensslPartsAead() : evpAead();
  if (*name == 0) return ipsecMbIsFast() || openssl == nullptr ? ipsecMbAead() : openssl;
  if (strcmp(name, "openssl") == 0) return openssl;
  for (const AeadBackend* backend : {ipsecMbAead(), evpAead()}) {
    if (backend != nullptr && strcmp(name, backend->name) == 0) return backend;
  }
  return nullptr;
}

bool sameTag(const uint8_t* one, const uint8_t* other) {
  uint8_t difference = 0;
  for (size_t i = 0; i < kTagSize; i++) difference = static_cast<uint8_t>(difference | (one[i] ^ other[i]));
  return difference == 0;
}

namespace {

bool agreeOn(const AeadBackend& one, const AeadBackend& other, size_t size, size_t moreSize) {
  uint8_t key[kKeySize];
  uint8_t nonce[kNonceSize];
  for (size_t i = 0; i < kKeySize; i++) key[i] = static_cast<uint8_t>(i * 7 + size);
  for (size_t i = 0; i < kNonceSize; i++) nonce[i] = static_cast<uint8_t>(i * 5 + size);
  std::vector<uint8_t> plain(size);
  for (size_t i = 0; i < size; i++) plain[i] = static_cast<uint8_t>(i * 11 + size);
  const std::vector<uint8_t> more(moreSize, 0x5a);
  std::vector<uint8_t> sealed = plain;
  sealed.resize(size + kTagSize);
  std::vector<uint8_t> expected = sealed;
  if (!one.sealWith(key, nonce, more.data(), moreSize, sealed.data(), size)) return false;
  if (!other.sealWith(key, nonce, more.data(), moreSize, expected.data(), size) || sealed != expected) return false;

  std::vector<uint8_t> opened = sealed;
  if (!one.openWith(key, nonce, more.data(), moreSize, opened.data(), size)) return false;
  if (size > 0 && memcmp(opened.data(), plain.data(), size) != 0) return false;
  for (size_t at : {size_t{0}, size / 2, size, size + kTagSize - 1}) {
    std::vector<uint8_t> forged = sealed;
    forged[at] = static_cast<uint8_t>(forged[at] ^ 1);
    if (one.openWith(key, nonce, more.data(), moreSize, forged.data(), size)) return false;
  }
  return true;
}

}  // namespace

bool agree(const AeadBackend& one, const AeadBackend& other) {
  for (size_t size = 0; size <= 160; size++) {
    if (!agreeOn(one, other, size, 0)) return false;
  }
  for (size_t size : {191u, 255u, 256u, 257u, 511u, 512u, 1023u, 1024u, 1279u, 1280u, 1281u, 1439u, 1500u, 2049u, 65535u}) {
    if (!agreeOn(one, other, size, 0)) return false;
  }
  for (size_t more : {1u, 12u, 16u, 17u, 255u}) {
    if (!agreeOn(one, other, 100, more)) return false;
  }
  return true;
}

}  // namespace pintail
