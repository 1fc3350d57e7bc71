// OpenSSL's cipher functions as node itself exports them; found at run time, so that nothing is linked.
#pragma once

#include <dlfcn.h>

#include <cstdint>

namespace pintail {

// EVP_CTRL_AEAD_GET_TAG, EVP_CTRL_AEAD_SET_TAG: part of OpenSSL's stable ABI.
constexpr int kEvpGetTag = 0x10;
constexpr int kEvpSetTag = 0x11;

struct Evp {
  void* (*newContext)();
  void (*freeContext)(void*);
  int (*control)(void*, int, int, void*);
  const void* (*chacha20Poly1305)();
  int (*encryptInit)(void*, const void*, void*, const uint8_t*, const uint8_t*);
  int (*encryptUpdate)(void*, uint8_t*, int*, const uint8_t*, int);
  int (*encryptFinal)(void*, uint8_t*, int*);
  int (*decryptInit)(void*, const void*, void*, const uint8_t*, const uint8_t*);
  int (*decryptUpdate)(void*, uint8_t*, int*, const uint8_t*, int);
  int (*decryptFinal)(void*, uint8_t*, int*);
  bool complete = true;

  Evp() {
    find("EVP_CIPHER_CTX_new", newContext);
    find("EVP_CIPHER_CTX_free", freeContext);
    find("EVP_CIPHER_CTX_ctrl", control);
    find("EVP_chacha20_poly1305", chacha20Poly1305);
    find("EVP_EncryptInit_ex", encryptInit);
    find("EVP_EncryptUpdate", encryptUpdate);
    find("EVP_EncryptFinal_ex", encryptFinal);
    find("EVP_DecryptInit_ex", decryptInit);
    find("EVP_DecryptUpdate", decryptUpdate);
    find("EVP_DecryptFinal_ex", decryptFinal);
  }

 private:
  template <typename Function>
  void find(const char* name, Function& target) {
    target = reinterpret_cast<Function>(dlsym(RTLD_DEFAULT, name));
    if (target == nullptr) complete = false;
  }
};

inline const Evp& evp() {
  static const Evp symbols;
  return symbols;
}

}  // namespace pintail
