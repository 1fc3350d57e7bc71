// The packet filter by itself for JavaScript: how many packets a second one thread judges.
#include <cerrno>
#include <chrono>
#include <cstring>
#include <vector>

#include "../glue.h"
#include "binding.h"
#include "unpack.h"

namespace pintail {

// filterRate(table, packets, milliseconds) → packets a second, parsing included. Each packet: u32 length, bytes.
napi_value filterRate(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  uint8_t* packed = nullptr;
  size_t packedSize = 0;
  uint8_t* bytes = nullptr;
  size_t size = 0;
  int64_t milliseconds = 0;
  if (!arguments.readBytes(0, packed, packedSize) || !arguments.readBytes(1, bytes, size) || !arguments.readInt(2, milliseconds)) {
    return nullptr;
  }
  FilterTable table;
  if (!unpackFilter(packed, packedSize, table)) return throwErrno(env, "filter", EINVAL);
  struct Packet {
    const uint8_t* at;
    uint32_t length;
  };
  std::vector<Packet> packets;
  for (size_t at = 0; at < size;) {
    uint32_t length = 0;
    if (size - at < sizeof length) return throwErrno(env, "packets", EINVAL);
    memcpy(&length, bytes + at, sizeof length);
    at += sizeof length;
    if (size - at < length) return throwErrno(env, "packets", EINVAL);
    packets.push_back({bytes + at, length});
    at += length;
  }
  if (packets.empty()) return throwErrno(env, "packets", EINVAL);
  const PacketFilter filter(&table);
  using Clock = std::chrono::steady_clock;
  const auto started = Clock::now();
  const auto until = started + std::chrono::milliseconds(milliseconds);
  uint64_t judged = 0;
  uint64_t accepted = 0;
  auto now = started;
  do {
    for (const Packet& packet : packets) {
      PacketFields fields;
      if (fields.read(packet.at, packet.length) && filter.inbound(fields) == Verdict::kAccept) accepted++;
    }
    judged += packets.size();
    now = Clock::now();
  } while (now < until);
  // Nothing of the work may be left out because nobody looks at it.
  if (accepted > judged) return throwErrno(env, "filter", ERANGE);
  return number(env, static_cast<double>(judged) / std::chrono::duration<double>(now - started).count());
}

}  // namespace pintail
