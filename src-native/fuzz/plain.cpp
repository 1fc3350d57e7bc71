// The packet path of a plain WireGuard device: what `engine.cpp` does and checks, without a filter, and with peers that are
// followed to where they were heard from.
#define FUZZ_ROLE Role::kPlain
#include "engine.cpp"
