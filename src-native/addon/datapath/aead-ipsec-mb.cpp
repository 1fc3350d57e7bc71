// libipsec-mb (BSD, Debian's libipsec-mb1), found at run time. Its direct ChaCha20-Poly1305 functions stand in a table whose
// layout belongs to the SONAME and is only extended at the end; the offsets below are those of the versions listed, and a
// library of any other version is not touched. Before first use it has to agree with OpenSSL.
#include <dlfcn.h>

#include <cstdlib>
#include <cstring>
#include <new>

#include "aead.h"

namespace pintail {

namespace {

// struct chacha20_poly1305_context_data, 192 bytes in the versions below; the room behind it is a margin.
struct alignas(64) Context {
  uint8_t bytes[256];
};

using Init = void (*)(const void* key, Context* context, const void* nonce, const void* more, uint64_t moreSize);
using Update = void (*)(const void* key, Context* context, void* target, const void* source, uint64_t size);
using Finalize = void (*)(Context* context, void* tag, uint64_t tagSize);

constexpr size_t kOffsetOfInit = 920;  // then enc_update, dec_update, finalize

struct KnownVersion {
  unsigned number;
};
// 1.3.0: Debian 12. Others are added once their header has been compared.
constexpr KnownVersion kKnown[] = {{0x10300}};

class Library {
 public:
  Init init = nullptr;
  Update encrypt = nullptr;
  Update decrypt = nullptr;
  Finalize finalize = nullptr;

  static const Library* get() {
    static const Library* library = load();
    return library;
  }

 private:
  static const Library* load() {
    void* handle = dlopen("libIPSec_MB.so.1", RTLD_NOW | RTLD_LOCAL);
    if (handle == nullptr) return nullptr;
    const auto version = reinterpret_cast<unsigned (*)()>(dlsym(handle, "imb_get_version"));
    const auto alloc = reinterpret_cast<void* (*)(uint64_t)>(dlsym(handle, "alloc_mb_mgr"));
    const auto start = reinterpret_cast<void (*)(void*, int*)>(dlsym(handle, "init_mb_mgr_auto"));
    if (version == nullptr || alloc == nullptr || start == nullptr) return nullptr;
    bool known = false;
    for (const KnownVersion& entry : kKnown) known = known || entry.number == version();
    if (!known) return nullptr;
    // The table is only read, so one serves all threads; it lives as long as the process.
    const uint8_t* manager = static_cast<const uint8_t*>(alloc(0));
    if (manager == nullptr) return nullptr;
    int arch = 0;
    start(const_cast<uint8_t*>(manager), &arch);
    if (arch == 0) return nullptr;
    void* functions[4];
    memcpy(functions, manager + kOffsetOfInit, sizeof functions);
    for (const void* function : functions) {
      // Each has to lie in that library: a wrong layout is noticed here, not by jumping.
      Dl_info info{};
      if (function == nullptr || dladdr(function, &info) == 0 || info.dli_fname == nullptr ||
          strstr(info.dli_fname, "libIPSec_MB") == nullptr) {
        return nullptr;
      }
    }
    Library* library = new (std::nothrow) Library;
    if (library == nullptr) return nullptr;
    library->init = reinterpret_cast<Init>(functions[0]);
    library->encrypt = reinterpret_cast<Update>(functions[1]);
    library->decrypt = reinterpret_cast<Update>(functions[2]);
    library->finalize = reinterpret_cast<Finalize>(functions[3]);
    return library;
  }
};

bool sealWith(const uint8_t* key, const uint8_t* nonce, const uint8_t* more, size_t moreSize, uint8_t* data, size_t size) {
  const Library* library = Library::get();
  Context context;
  library->init(key, &context, nonce, more, moreSize);
  library->encrypt(key, &context, data, data, size);
  library->finalize(&context, data + size, kTagSize);
  return true;
}

bool openWith(const uint8_t* key, const uint8_t* nonce, const uint8_t* more, size_t moreSize, uint8_t* data, size_t size) {
  const Library* library = Library::get();
  Context context;
  uint8_t tag[kTagSize];
  library->init(key, &context, nonce, more, moreSize);
  library->decrypt(key, &context, data, data, size);
  library->finalize(&context, tag, kTagSize);
  uint8_t difference = 0;
  for (size_t i = 0; i < kTagSize; i++) difference = static_cast<uint8_t>(difference | (tag[i] ^ data[size + i]));
  return difference == 0;
}

class IpsecMbAead final : public Aead {
 public:
  IpsecMbAead(const uint8_t* sendKey, const uint8_t* receiveKey) {
    memcpy(sendKey_, sendKey, kKeySize);
    memcpy(receiveKey_, receiveKey, kKeySize);
  }
  ~IpsecMbAead() override {
    explicit_bzero(sendKey_, kKeySize);
    explicit_bzero(receiveKey_, kKeySize);
  }
  bool seal(const uint8_t* nonce, uint8_t* data, size_t size) override { return sealWith(sendKey_, nonce, nullptr, 0, data, size); }
  bool open(const uint8_t* nonce, uint8_t* data, size_t size) override {
    return openWith(receiveKey_, nonce, nullptr, 0, data, size);
  }

 private:
  uint8_t sendKey_[kKeySize];
  uint8_t receiveKey_[kKeySize];
};

std::unique_ptr<Aead> create(const uint8_t* sendKey, const uint8_t* receiveKey) {
  return std::make_unique<IpsecMbAead>(sendKey, receiveKey);
}

constexpr AeadBackend kBackend{"ipsec-mb", create, sealWith, openWith};

// A few sizes around the block boundaries, both ways, against OpenSSL.
bool agreesWithOpenSsl() {
  const AeadBackend* other = opensslAead();
  if (other == nullptr) return false;
  uint8_t key[kKeySize];
  uint8_t nonce[kNonceSize];
  for (size_t i = 0; i < kKeySize; i++) key[i] = static_cast<uint8_t>(i * 7 + 1);
  for (size_t i = 0; i < kNonceSize; i++) nonce[i] = static_cast<uint8_t>(i * 5);
  for (size_t size : {0u, 1u, 16u, 63u, 64u, 65u, 255u, 256u, 1024u, 1280u, 1439u}) {
    uint8_t ours[1500];
    uint8_t theirs[1500];
    for (size_t i = 0; i < size; i++) ours[i] = theirs[i] = static_cast<uint8_t>(i ^ size);
    if (!sealWith(key, nonce, nullptr, 0, ours, size) || !other->sealWith(key, nonce, nullptr, 0, theirs, size)) return false;
    if (memcmp(ours, theirs, size + kTagSize) != 0) return false;
    if (!openWith(key, nonce, nullptr, 0, theirs, size)) return false;
    ours[size] = static_cast<uint8_t>(ours[size] ^ 1);
    if (openWith(key, nonce, nullptr, 0, ours, size)) return false;
    for (size_t i = 0; i < size; i++) {
      if (theirs[i] != static_cast<uint8_t>(i ^ size)) return false;
    }
  }
  return true;
}

}  // namespace

const AeadBackend* ipsecMbAead() {
#if defined(__x86_64__)
  static const bool usable = Library::get() != nullptr && agreesWithOpenSsl();
  return usable ? &kBackend : nullptr;
#else
  return nullptr;
#endif
}

const AeadBackend* chooseAead(const char* name) {
  for (const AeadBackend* backend : {ipsecMbAead(), opensslAead()}) {
    if (backend != nullptr && (*name == 0 || strcmp(name, backend->name) == 0)) return backend;
  }
  return nullptr;
}

}  // namespace pintail
