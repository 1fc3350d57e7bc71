// What recvmmsg reports about joined datagrams: any lengths, flags and control messages. The pieces are the datagram.
//
// Input: u8 result · per message u16 length · u8 flags · u8 control length · control bytes. Linked with --wrap=recvmmsg.
#include "../addon/datapath/receiver.h"

#include <sys/socket.h>

#include <cerrno>

#include "fuzz.h"

using namespace pintail;

namespace {

fuzz::Input* input = nullptr;
int result = 0;

}  // namespace

extern "C" int __wrap_recvmmsg(int, mmsghdr* messages, unsigned count, int, timespec*) {
  constexpr int kErrors[] = {EAGAIN, EINTR, EBADF, ECONNREFUSED, ENOMEM};
  const uint8_t first = input->u8();
  if (first >= 250) {
    errno = kErrors[first - 250 < 5 ? first - 250 : 0];
    return result = -1;
  }
  result = static_cast<int>(first % (count + 1));
  for (int i = 0; i < result; i++) {
    msghdr& header = messages[i].msg_hdr;
    messages[i].msg_len = input->u16();
    if (messages[i].msg_len == 65535) messages[i].msg_len = Receiver::kMessageBytes;
    header.msg_flags = (input->u8() & 1) != 0 ? MSG_TRUNC : 0;
    memset(header.msg_iov->iov_base, i + 1, messages[i].msg_len);
    const size_t length = input->u8();
    header.msg_controllen = length < header.msg_controllen ? length : header.msg_controllen;
    const fuzz::Bytes control = input->bytes(header.msg_controllen);
    memset(header.msg_control, 0, header.msg_controllen);
    if (!control.empty()) memcpy(header.msg_control, control.data(), control.size());
  }
  return result;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Input in(data, size);
  input = &in;
  static Receiver receiver;
  const int bunches = receiver.receive(-1);
  if (result < 0) {
    CHECK(bunches == 0 || bunches == -EBADF || bunches == -ECONNREFUSED || bunches == -ENOMEM);
    return 0;
  }
  CHECK(bunches == result && bunches <= static_cast<int>(Receiver::kMessages));
  for (int i = 0; i < bunches; i++) {
    const Receiver::Bunch& bunch = receiver.bunch(static_cast<uint32_t>(i));
    CHECK(bunch.size <= Receiver::kMessageBytes);
    CHECK(bunch.size == 0 || bunch.segment > 0);
    for (uint32_t at = 0; at < bunch.size; at += 997) CHECK(bunch.bytes[at] == i + 1);
    if (bunch.size > 0) CHECK(bunch.bytes[bunch.size - 1] == i + 1);
  }
  return 0;
}
