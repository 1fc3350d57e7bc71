// What the packet threads ask of the scheduler. A packet that arrives must not wait for the end of somebody else's time
// slice: with short slices of our own we are due first when woken. (Linux ≥ 6.12; elsewhere nothing changes.)
#pragma once

#include <pthread.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>

namespace pintail {

// As `struct sched_attr` began its life; the C library has none.
struct SchedulerWish {
  uint32_t size;
  uint32_t policy;
  uint64_t flags;
  int32_t nice;
  uint32_t priority;
  uint64_t runtimeNs;
  uint64_t deadlineNs;
  uint64_t periodNs;
};

inline void startPacketThread(const char* name) {
  pthread_setname_np(pthread_self(), name);
  constexpr uint64_t kSliceNs = 100'000;
  constexpr uint64_t kKeepPolicy = 0x08;
  SchedulerWish wish{};
  wish.size = sizeof wish;
  wish.flags = kKeepPolicy;
  wish.nice = getpriority(PRIO_PROCESS, 0);
  wish.runtimeNs = kSliceNs;
  syscall(SYS_sched_setattr, 0, &wish, 0);  // a wish: where it is not granted we wait our turn like everybody
}

}  // namespace pintail
