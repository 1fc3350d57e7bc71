// OpenSSL's ChaCha20 and Poly1305 by themselves, put together as RFC 8439 §2.8 says. Same kernels as EVP, which spends 200 to
// 350 ns a packet on the way to them; no state between packets, so no locks. They are not public (include/crypto/chacha.h and
// poly1305.h): only those of OpenSSL 3.5, which Node 24 has, are used, and a node whose OpenSSL is a shared library does not
// show them. Before first use they have to agree with EVP.
#include <dlfcn.h>

#include <bit>
#include <cstring>

#include "aead.h"

namespace pintail {

namespace {

static_assert(std::endian::native == std::endian::little, "keys and nonces are taken as 32-bit words as they lie");

constexpr size_t kBlockSize = 64;
constexpr size_t kPolySize = 16;
// Up to here one call of ChaCha20 makes the Poly1305 key and the packet, at the price of a copy.
constexpr size_t kOneCallSize = 2048;

struct Parts {
  // In and out may be the same; the first word of `counter` counts blocks.
  void (*chacha20)(uint8_t* out, const uint8_t* in, size_t size, const uint32_t* key, const uint32_t* counter) = nullptr;
  void (*polyInit)(void* context, const uint8_t* key) = nullptr;
  void (*polyUpdate)(void* context, const uint8_t* data, size_t size) = nullptr;
  void (*polyFinal)(void* context, uint8_t* tag) = nullptr;  // wipes the context
  bool complete = false;

  Parts() {
    unsigned (*major)() = nullptr;
    unsigned (*minor)() = nullptr;
    size_t (*polySize)() = nullptr;
    if (!find("OPENSSL_version_major", major) || !find("OPENSSL_version_minor", minor)) return;
    if (major() != 3 || minor() != 5) return;
    complete = find("ChaCha20_ctr32", chacha20) && find("Poly1305_ctx_size", polySize) && find("Poly1305_Init", polyInit) &&
               find("Poly1305_Update", polyUpdate) && find("Poly1305_Final", polyFinal) && polySize() <= kContextSize;
  }
  static constexpr size_t kContextSize = 512;  // 248 in 3.5

 private:
  template <typename Function>
  static bool find(const char* name, Function& target) {
    target = reinterpret_cast<Function>(dlsym(RTLD_DEFAULT, name));
    return target != nullptr;
  }
};

const Parts& parts() {
  static const Parts found;
  return found;
}

// The first block of the key stream, whose start is the Poly1305 key, and room for a packet behind it.
class Work {
 public:
  Work() { memset(bytes_, 0, kBlockSize); }
  ~Work() { explicit_bzero(bytes_, kBlockSize); }  // who has the key can forge another packet with the same nonce
  Work(const Work&) = delete;
  Work& operator=(const Work&) = delete;
  uint8_t* polyKey() { return bytes_; }
  uint8_t* packet() { return bytes_ + kBlockSize; }

 private:
  alignas(64) uint8_t bytes_[kBlockSize + kOneCallSize];
};

struct Counter {
  uint32_t words[4] = {};
  Counter(const uint8_t* nonce, uint32_t block) {
    words[0] = block;
    memcpy(words + 1, nonce, kNonceSize);
  }
};

void authenticatePadded(void* context, const uint8_t* data, size_t size) {
  static constexpr uint8_t kZeros[kPolySize] = {};
  if (size > 0) parts().polyUpdate(context, data, size);
  if (size % kPolySize != 0) parts().polyUpdate(context, kZeros, kPolySize - size % kPolySize);
}

// Padding and sizes go through the same update as the packet's end: with AVX-512, a call for one block behind long data costs
// 100 ns. WireGuard pads, so nearly always they fit where the tag is to be, and `data` has room for that.
void makeTag(const uint8_t* polyKey, const uint8_t* more, size_t moreSize, uint8_t* data, size_t size, uint8_t* tag) {
  alignas(64) uint8_t context[Parts::kContextSize];
  parts().polyInit(context, polyKey);
  if (moreSize > 0) authenticatePadded(context, more, moreSize);
  const uint64_t sizes[2] = {moreSize, size};
  const size_t rest = size % kPolySize;
  if (rest == 0) {
    memcpy(data + size, sizes, sizeof sizes);
    parts().polyUpdate(context, data, size + sizeof sizes);
  } else {
    if (size > rest) parts().polyUpdate(context, data, size - rest);
    uint8_t last[2 * kPolySize] = {};
    memcpy(last, data + size - rest, rest);
    memcpy(last + kPolySize, sizes, sizeof sizes);
    parts().polyUpdate(context, last, sizeof last);
  }
  parts().polyFinal(context, tag);
}

void sealPacket(const uint32_t* key, const uint8_t* nonce, const uint8_t* more, size_t moreSize, uint8_t* data, size_t size) {
  Work work;
  if (size <= kOneCallSize) {
    memcpy(work.packet(), data, size);
    parts().chacha20(work.polyKey(), work.polyKey(), kBlockSize + size, key, Counter(nonce, 0).words);
    memcpy(data, work.packet(), size);
  } else {
    parts().chacha20(work.polyKey(), work.polyKey(), kBlockSize, key, Counter(nonce, 0).words);
    parts().chacha20(data, data, size, key, Counter(nonce, 1).words);
  }
  makeTag(work.polyKey(), more, moreSize, data, size, data + size);
}

bool openPacket(const uint32_t* key, const uint8_t* nonce, const uint8_t* more, size_t moreSize, uint8_t* data, size_t size) {
  Work work;
  const bool inOneCall = size <= kOneCallSize;
  if (inOneCall) memcpy(work.packet(), data, size);
  parts().chacha20(work.polyKey(), work.polyKey(), inOneCall ? kBlockSize + size : kBlockSize, key, Counter(nonce, 0).words);
  uint8_t expected[kTagSize];
  uint8_t tag[kTagSize];
  memcpy(expected, data + size, kTagSize);
  makeTag(work.polyKey(), more, moreSize, data, size, tag);
  if (!sameTag(tag, expected)) return false;
  if (inOneCall) {
    memcpy(data, work.packet(), size);
  } else {
    parts().chacha20(data, data, size, key, Counter(nonce, 1).words);
  }
  return true;
}

struct Key {
  uint32_t words[kKeySize / sizeof(uint32_t)];
  explicit Key(const uint8_t* bytes) { memcpy(words, bytes, kKeySize); }
  ~Key() { explicit_bzero(words, sizeof words); }
  Key(const Key&) = delete;
  Key& operator=(const Key&) = delete;
};

class PartsAead final : public Aead {
 public:
  PartsAead(const uint8_t* sendKey, const uint8_t* receiveKey) : sendKey_(sendKey), receiveKey_(receiveKey) {}
  bool seal(const uint8_t* nonce, uint8_t* data, size_t size) override {
    sealPacket(sendKey_.words, nonce, nullptr, 0, data, size);
    return true;
  }
  bool open(const uint8_t* nonce, uint8_t* data, size_t size) override {
    return openPacket(receiveKey_.words, nonce, nullptr, 0, data, size);
  }

 private:
  Key sendKey_;
  Key receiveKey_;
};

std::unique_ptr<Aead> create(const uint8_t* sendKey, const uint8_t* receiveKey) {
  return std::make_unique<PartsAead>(sendKey, receiveKey);
}

bool sealWith(const uint8_t* key, const uint8_t* nonce, const uint8_t* more, size_t moreSize, uint8_t* data, size_t size) {
  sealPacket(Key(key).words, nonce, more, moreSize, data, size);
  return true;
}

bool openWith(const uint8_t* key, const uint8_t* nonce, const uint8_t* more, size_t moreSize, uint8_t* data, size_t size) {
  return openPacket(Key(key).words, nonce, more, moreSize, data, size);
}

constexpr AeadBackend kBackend{"openssl", create, sealWith, openWith};

}  // namespace

const AeadBackend* opensslPartsAead() {
  static const bool usable = parts().complete && evpAead() != nullptr && agree(kBackend, *evpAead());
  return usable ? &kBackend : nullptr;
}

}  // namespace pintail
