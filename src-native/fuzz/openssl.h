// The addon finds OpenSSL's functions in the program it is loaded into, which is node. Fuzz targets load the system's library.
#pragma once

#include <dlfcn.h>

#include "../addon/datapath/aead.h"
#include "fuzz.h"

namespace fuzz {

inline bool loadOpenSsl() {
  for (const char* name : {"libcrypto.so.3", "libcrypto.so.1.1"}) {
    if (dlopen(name, RTLD_NOW | RTLD_GLOBAL) != nullptr) return true;
  }
  return false;
}

inline const pintail::AeadBackend& openSsl() {
  static const pintail::AeadBackend* found = loadOpenSsl() ? pintail::chooseAead("openssl") : nullptr;
  if (found == nullptr) {
    fprintf(stderr, "OpenSSL is not there\n");
    exit(1);
  }
  return *found;
}

}  // namespace fuzz
