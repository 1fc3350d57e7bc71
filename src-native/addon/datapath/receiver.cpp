#include "receiver.h"

#include <netinet/udp.h>

#include <cerrno>
#include <cstring>

namespace pintail {

Receiver::Receiver() : area_(new uint8_t[static_cast<size_t>(kMessages) * kMessageBytes]) {}

int Receiver::receive(int fd) {
  mmsghdr messages[kMessages];
  iovec vectors[kMessages];
  alignas(cmsghdr) uint8_t controls[kMessages][CMSG_SPACE(sizeof(int)) + CMSG_SPACE(sizeof(uint32_t))];
  memset(messages, 0, sizeof messages);
  for (uint32_t i = 0; i < kMessages; i++) {
    bunches_[i].bytes = area_.get() + static_cast<size_t>(i) * kMessageBytes;
    vectors[i] = {bunches_[i].bytes, kMessageBytes};
    msghdr& header = messages[i].msg_hdr;
    header.msg_name = bunches_[i].from.bytes;
    header.msg_namelen = Address::kSize;
    header.msg_iov = &vectors[i];
    header.msg_iovlen = 1;
    header.msg_control = controls[i];
    header.msg_controllen = sizeof controls[i];
  }
  const int received = recvmmsg(fd, messages, kMessages, MSG_DONTWAIT, nullptr);
  if (received < 0) return errno == EAGAIN || errno == EINTR ? 0 : -errno;
  for (int i = 0; i < received; i++) {
    Bunch& bunch = bunches_[i];
    msghdr& header = messages[i].msg_hdr;
    bunch.size = messages[i].msg_len;
    bunch.segment = bunch.size;
    bunch.truncated = (header.msg_flags & MSG_TRUNC) != 0;
    const uint8_t* end = static_cast<const uint8_t*>(header.msg_control) + header.msg_controllen;
    for (cmsghdr* entry = CMSG_FIRSTHDR(&header); entry != nullptr; entry = CMSG_NXTHDR(&header, entry)) {
      // The first entry may claim more than there is: CMSG_FIRSTHDR only looks for room for its header.
      if (entry->cmsg_len < CMSG_LEN(sizeof(int)) || CMSG_DATA(entry) + sizeof(int) > end) continue;
      int value = 0;
      memcpy(&value, CMSG_DATA(entry), sizeof value);
      if (entry->cmsg_level == SOL_UDP && entry->cmsg_type == UDP_GRO && value > 0) {
        bunch.segment = static_cast<uint32_t>(value);
      } else if (entry->cmsg_level == SOL_SOCKET && entry->cmsg_type == SO_RXQ_OVFL) {
        // A running total since the socket was opened.
        const uint32_t total = static_cast<uint32_t>(value);
        overflow_ += total - overflowBefore_;
        overflowBefore_ = total;
      }
    }
  }
  return received;
}

}  // namespace pintail
