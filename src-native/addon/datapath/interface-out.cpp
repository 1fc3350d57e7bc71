#include "interface-out.h"

#include <unistd.h>

#include <cerrno>

namespace pintail {

void InterfaceOut::add(uint8_t* packet, uint32_t length) {
  if (offload_) {
    coalescer_.add(packet, length);
    return;
  }
  ssize_t written = 0;
  do {
    written = write(fd_, packet, length);
  } while (written < 0 && errno == EINTR);
  if (written < 0) failed(errno, 1);
}

void InterfaceOut::flush() {
  if (!offload_) return;
  coalescer_.flush();
  const uint32_t lost = coalescer_.takeLost();
  if (lost == 0) return;
  failed(coalescer_.error(), lost);
  if (coalescer_.joins() || saidNoJoins_) return;
  saidNoJoins_ = true;
  counters_.fault(Fault::kHostJoinsOff);
}

// EIO: somebody took the interface down; JavaScript looks what became of it.
void InterfaceOut::failed(int error, uint32_t packets) {
  counters_.fault(Fault::kHostWrite);
  counters_.drop(Drop::kInInterfaceDown, packets);
  if (error == EIO || error == EBADFD) up_.push({.kind = UpKind::kHostTrouble});
}

}  // namespace pintail
