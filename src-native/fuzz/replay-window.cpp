// The replay window against the plain statement of it: every counter once, none older than 8128 below the newest. [WG-5.1]
//
// Input: steps of u8 kind and a number. The kinds are near the newest counter, around the window's edge, and anywhere.
#include "../addon/datapath/replay-window.h"

#include <set>

#include "../addon/datapath/peer.h"
#include "fuzz.h"

using pintail::Replay;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr uint64_t kWindow = 8128;
  fuzz::Input in(data, size);
  pintail::ReplayWindow window;
  std::set<uint64_t> seen;
  uint64_t newest = 0;
  while (!in.isEmpty()) {
    uint64_t counter = 0;
    switch (in.u8() % 6) {
      case 0:
        counter = newest + 1 + in.u8();
        break;
      case 1:
        counter = newest - in.u8();
        break;
      case 2:
        counter = newest - kWindow - 128 + in.u8();
        break;
      case 3:
        counter = newest + in.u16();
        break;
      case 4:
        counter = newest - in.u16();
        break;
      default:
        counter = in.u64();
    }
    counter &= pintail::kMaxCounter;  // the engine lets no more through
    const Replay answer = window.take(counter);
    if (counter <= newest && newest - counter > kWindow) {
      CHECK(answer == Replay::kOld);
    } else if (!seen.insert(counter).second) {
      CHECK(answer == Replay::kSeen);
    } else {
      CHECK(answer == Replay::kFresh);
      if (counter > newest) newest = counter;
    }
  }
  return 0;
}
