// libipsec-mb (BSD, Debian's libipsec-mb1), found at run time. No header of it is used: its managers begin with the functions
// for jobs, and jobs with what is needed here, at the same places in each version listed below; a library of any other
// version is left alone. Before first use it has to agree with OpenSSL. [docs/decisions/0005-aead-back-ends.md]
#include "aead.h"

#if defined(__x86_64__)

#include <cpuid.h>
#include <dlfcn.h>

#include <cstdio>
#include <cstring>
#include <mutex>
#include <vector>

namespace pintail {

namespace {

// IMB_JOB as far as it goes for us. The library takes jobs where a manager keeps them, so their whole size is its own matter.
struct Job {
  const void* sealKey;
  const void* openKey;
  uint64_t keySize;
  const uint8_t* source;
  uint8_t* target;
  uint64_t cipherOffset;
  uint64_t cipherSize;
  uint64_t hashOffset;
  uint64_t hashSize;
  const uint8_t* nonce;
  uint64_t nonceSize;
  uint8_t* tag;
  uint64_t tagSize;
  const void* more;
  uint64_t moreSize;
  void* unused;
  uint32_t status;
  uint32_t cipher;
  uint32_t direction;
  uint32_t hash;
  uint32_t order;
};
static_assert(offsetof(Job, more) == 104 && offsetof(Job, status) == 128 && offsetof(Job, order) == 144);

constexpr uint32_t kChaCha20Poly1305Cipher = 19;
constexpr uint32_t kChaCha20Poly1305Hash = 29;
constexpr uint32_t kDone = 3;
// Directions, and the order of cipher and hash that goes with each.
constexpr uint32_t kSeal = 1;
constexpr uint32_t kOpen = 2;

// IMB_MGR: flags, features, reserved fields, then these.
constexpr size_t kOffsetOfNextJob = 64;
constexpr size_t kOffsetOfSubmit = 72;

struct KnownVersion {
  unsigned number;
  int avx2;  // the IMB_ARCH of these kernels; AVX-512 is the next
};
// 1.3: Debian 12. 1.5: Debian 13, Ubuntu 24.04.
constexpr KnownVersion kKnown[] = {
    {0x10000, 4}, {0x10100, 4}, {0x10200, 4}, {0x10201, 4}, {0x10300, 4}, {0x10400, 4}, {0x10500, 4},
    {0x20000, 2}, {0x20001, 2}, {0x20002, 2},
};
constexpr const char* kNames[] = {"libIPSec_MB.so.1", "libIPSec_MB.so.2"};

// libipsec-mb asks the processor what it has, but before 2.0 not the system whether it keeps the wide registers of a thread.
bool systemKeepsRegisters() {
  unsigned a = 0;
  unsigned b = 0;
  unsigned c = 0;
  unsigned d = 0;
  if (__get_cpuid(1, &a, &b, &c, &d) == 0) return false;
  if ((c & bit_AVX) == 0) return true;
  if ((c & bit_OSXSAVE) == 0) return false;
  unsigned kept = 0;
  unsigned high = 0;
  asm volatile("xgetbv" : "=a"(kept), "=d"(high) : "c"(0));
  constexpr unsigned kAvx = 0x06;
  constexpr unsigned kAvx512 = 0xe6;
  if ((kept & kAvx) != kAvx) return false;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) == 0 || (b & bit_AVX512F) == 0 || (kept & kAvx512) == kAvx512;
}

class Library {
 public:
  static const Library& get() {
    static const Library library;
    return library;
  }
  const char* problem() const { return problem_[0] == 0 ? nullptr : problem_; }
  bool isFast() const { return arch_ > known_.avx2; }

  // nullptr where there is no memory, or the processor is too old.
  void* newManager(int& arch) const {
    void* manager = alloc_(0);
    if (manager == nullptr) return nullptr;
    arch = 0;
    start_(manager, &arch);  // tests itself, and says so by the error number
    if (arch >= known_.avx2 && errorOf_(manager) == 0) return manager;
    free_(manager);
    return nullptr;
  }

 private:
  Library() { snprintf(problem_, sizeof problem_, "%s", load()); }

  const char* load() {
    if (!systemKeepsRegisters()) return "the system does not keep all registers of this processor";
    void* handle = nullptr;
    for (const char* name : kNames) {
      if (handle == nullptr) handle = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    }
    if (handle == nullptr) return "not installed (Debian's package is libipsec-mb1)";
    unsigned (*version)() = nullptr;
    if (!find(handle, "imb_get_version", version)) return "it does not tell its version";
    const unsigned number = version();
    for (const KnownVersion& entry : kKnown) {
      if (entry.number == number) known_ = entry;
    }
    if (known_.number == 0) {
      snprintf(unknown_, sizeof unknown_, "version %u.%u.%u is not one we know", number >> 16, number >> 8 & 0xff, number & 0xff);
      return unknown_;
    }
    if (!find(handle, "alloc_mb_mgr", alloc_) || !find(handle, "free_mb_mgr", free_) ||
        !find(handle, "init_mb_mgr_auto", start_) || !find(handle, "imb_get_errno", errorOf_)) {
      return "it lacks functions";
    }
    uint8_t* manager = static_cast<uint8_t*>(newManager(arch_));
    if (manager == nullptr) return "it has no safe kernels for this processor, or failed its own tests";
    // Each has to lie in that library: a wrong layout is noticed here, not by jumping.
    const bool isTheirs = isFromTheSame(*reinterpret_cast<void**>(manager + kOffsetOfNextJob), reinterpret_cast<void*>(version)) &&
                          isFromTheSame(*reinterpret_cast<void**>(manager + kOffsetOfSubmit), reinterpret_cast<void*>(version));
    free_(manager);
    return isTheirs ? "" : "its managers look different from those we know";
  }

  template <typename Function>
  static bool find(void* handle, const char* name, Function& target) {
    target = reinterpret_cast<Function>(dlsym(handle, name));
    return target != nullptr;
  }

  static bool isFromTheSame(const void* one, const void* other) {
    Dl_info first{};
    Dl_info second{};
    return one != nullptr && dladdr(one, &first) != 0 && dladdr(other, &second) != 0 && first.dli_fbase == second.dli_fbase;
  }

  void* (*alloc_)(uint64_t flags) = nullptr;
  void (*free_)(void*) = nullptr;
  void (*start_)(void*, int* arch) = nullptr;
  int (*errorOf_)(void*) = nullptr;
  KnownVersion known_{};
  int arch_ = 0;
  char unknown_[64] = {};
  char problem_[96] = {};
};

// A manager serves one thread at a time. Threads come and go with sockets and making one takes milliseconds, so what a thread
// leaves behind serves the next.
class ManagerPool {
 public:
  static ManagerPool& get() {
    static ManagerPool* pool = new ManagerPool;  // outlives every thread
    return *pool;
  }
  void* take() {
    std::lock_guard<std::mutex> lock(mutex_);
    if (idle_.empty()) {
      int arch = 0;
      return Library::get().newManager(arch);
    }
    void* manager = idle_.back();
    idle_.pop_back();
    return manager;
  }
  void giveBack(void* manager) {
    std::lock_guard<std::mutex> lock(mutex_);
    idle_.push_back(manager);
  }

 private:
  std::mutex mutex_;
  std::vector<void*> idle_;
};

class Manager {
 public:
  ~Manager() {
    if (manager_ != nullptr) ManagerPool::get().giveBack(manager_);
  }
  bool run(uint32_t direction, const uint8_t* key, const uint8_t* nonce, const uint8_t* more, size_t moreSize, uint8_t* data,
           size_t size, uint8_t* tag) {
    if (manager_ == nullptr) manager_ = static_cast<uint8_t*>(ManagerPool::get().take());
    if (manager_ == nullptr) return false;
    Job* job = function(kOffsetOfNextJob)(manager_);
    if (job == nullptr) return false;
    job->sealKey = key;
    job->openKey = key;
    job->keySize = kKeySize;
    job->source = data;
    job->target = data;
    job->cipherOffset = 0;
    job->cipherSize = size;
    job->hashOffset = 0;
    job->hashSize = size;
    job->nonce = nonce;
    job->nonceSize = kNonceSize;
    job->tag = tag;
    job->tagSize = kTagSize;
    job->more = more;
    job->moreSize = moreSize;
    job->cipher = kChaCha20Poly1305Cipher;
    job->direction = direction;
    job->hash = kChaCha20Poly1305Hash;
    job->order = direction;
    // This cipher never waits for other jobs: the one that comes back is this one, done. submit, not submit_nocheck: 10 ns
    // for the library's own look at what it is asked to do.
    const Job* done = function(kOffsetOfSubmit)(manager_);
    return done == job && done->status == kDone;
  }

 private:
  using Function = Job* (*)(void* manager);
  Function function(size_t offset) const { return *reinterpret_cast<Function*>(manager_ + offset); }

  uint8_t* manager_ = nullptr;
};

thread_local Manager threadsManager;

// Before 1.5 the AVX2 kernels read 16 bytes past a key, hence the room behind it.
struct Key {
  uint8_t bytes[kKeySize + 32] = {};
  explicit Key(const uint8_t* key) { memcpy(bytes, key, kKeySize); }
  ~Key() { explicit_bzero(bytes, sizeof bytes); }
  Key(const Key&) = delete;
  Key& operator=(const Key&) = delete;
};

bool sealPacket(const Key& key, const uint8_t* nonce, const uint8_t* more, size_t moreSize, uint8_t* data, size_t size) {
  return threadsManager.run(kSeal, key.bytes, nonce, more, moreSize, data, size, data + size);
}

bool openPacket(const Key& key, const uint8_t* nonce, const uint8_t* more, size_t moreSize, uint8_t* data, size_t size) {
  uint8_t tag[kTagSize];
  return threadsManager.run(kOpen, key.bytes, nonce, more, moreSize, data, size, tag) && sameTag(tag, data + size);
}

class IpsecMbAead final : public Aead {
 public:
  IpsecMbAead(const uint8_t* sendKey, const uint8_t* receiveKey) : sendKey_(sendKey), receiveKey_(receiveKey) {}
  bool seal(const uint8_t* nonce, uint8_t* data, size_t size) override {
    return sealPacket(sendKey_, nonce, nullptr, 0, data, size);
  }
  bool open(const uint8_t* nonce, uint8_t* data, size_t size) override {
    return openPacket(receiveKey_, nonce, nullptr, 0, data, size);
  }

 private:
  Key sendKey_;
  Key receiveKey_;
};

std::unique_ptr<Aead> create(const uint8_t* sendKey, const uint8_t* receiveKey) {
  return std::make_unique<IpsecMbAead>(sendKey, receiveKey);
}

bool sealWith(const uint8_t* key, const uint8_t* nonce, const uint8_t* more, size_t moreSize, uint8_t* data, size_t size) {
  return sealPacket(Key(key), nonce, more, moreSize, data, size);
}

bool openWith(const uint8_t* key, const uint8_t* nonce, const uint8_t* more, size_t moreSize, uint8_t* data, size_t size) {
  return openPacket(Key(key), nonce, more, moreSize, data, size);
}

constexpr AeadBackend kBackend{"ipsec-mb", create, sealWith, openWith};

}  // namespace

const char* ipsecMbProblem() {
  if (Library::get().problem() != nullptr) return Library::get().problem();
  if (evpAead() == nullptr) return "there is no OpenSSL to compare it with";
  static const bool isRight = agree(kBackend, *evpAead());
  return isRight ? nullptr : "it disagrees with OpenSSL";
}

const AeadBackend* ipsecMbAead() { return ipsecMbProblem() == nullptr ? &kBackend : nullptr; }

bool ipsecMbIsFast() { return ipsecMbProblem() == nullptr && Library::get().isFast(); }

}  // namespace pintail

#else

namespace pintail {

const char* ipsecMbProblem() { return "it is for x86-64 only"; }
const AeadBackend* ipsecMbAead() { return nullptr; }
bool ipsecMbIsFast() { return false; }

}  // namespace pintail

#endif
