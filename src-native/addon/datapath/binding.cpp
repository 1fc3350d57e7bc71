// The data path's functions for JavaScript; `src-native/native-addon.ts` types them. Each takes the handle first. Wrong
// types throw; unknown ids are ignored.
#include "binding.h"

#include <cerrno>
#include <cstring>
#include <string>
#include <vector>

#include "../glue.h"
#include "path.h"
#include "recorder.h"
#include "unpack.h"

namespace pintail {

namespace {

struct Handle {
  std::unique_ptr<Path> path;
  napi_env env = nullptr;
  napi_threadsafe_function wake = nullptr;
  bool closed = false;

  // Also when the environment ends without a close().
  void close() {
    if (closed) return;
    closed = true;
    path->close();
    path->up().onWake(nullptr);
    if (wake != nullptr) napi_release_threadsafe_function(wake, napi_tsfn_abort);
    wake = nullptr;
  }
  static void onEnvironmentEnd(void* self) { static_cast<Handle*>(self)->close(); }
  static void onFinalize(napi_env env, void* data, void*) {
    Handle* self = static_cast<Handle*>(data);
    self->close();
    napi_remove_env_cleanup_hook(env, onEnvironmentEnd, self);
    delete self;
  }
};

// Arguments with the handle in front; `path` is nullptr when that was wrong, and an exception pends.
class Call : public Arguments {
 public:
  Call(napi_env environment, napi_callback_info info) : Arguments(environment, info), env(environment) {
    void* pointer = nullptr;
    if (readExternal(0, pointer)) handle = static_cast<Handle*>(pointer);
    if (handle != nullptr) path = handle->path.get();
  }
  napi_env env;
  Handle* handle = nullptr;
  Path* path = nullptr;
};

napi_value bytesOf(napi_env env, const std::vector<uint8_t>& bytes) {
  void* data = nullptr;
  napi_value buffer = nullptr;
  if (napi_create_arraybuffer(env, bytes.size(), &data, &buffer) != napi_ok) return nullptr;
  if (!bytes.empty()) memcpy(data, bytes.data(), bytes.size());
  return buffer;
}

bool readAddress(Call& call, size_t index, Address& address) {
  uint8_t* bytes = nullptr;
  size_t size = 0;
  if (!call.readBytes(index, bytes, size)) return false;
  if (size != Address::kSize) {
    throwErrno(call.env, "address", EINVAL);
    return false;
  }
  memcpy(address.bytes, bytes, size);
  return true;
}

// An exception left pending would only be a warning; it has to be as loud as one thrown in any other callback.
void callWake(napi_env env, napi_value callback, void*, void*) {
  if (env == nullptr || callback == nullptr) return;  // the environment ends
  napi_value undefined = nullptr;
  napi_get_undefined(env, &undefined);
  if (napi_call_function(env, undefined, callback, 0, nullptr, nullptr) != napi_pending_exception) return;
  napi_value exception = nullptr;
  napi_get_and_clear_last_exception(env, &exception);
  napi_fatal_exception(env, exception);
}

// hasBackend(name) → whether such an AEAD can be had here.
napi_value hasBackend(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  std::string name;
  if (!arguments.readText(0, name)) return nullptr;
  napi_value result = nullptr;
  napi_get_boolean(env, chooseAead(name.c_str()) != nullptr, &result);
  return result;
}

bool isMtu(int64_t mtu) { return mtu >= 68 && mtu <= 65535; }

// create(mtuBytes, aead or '', manual 0|1|2, role 0 node|1 plain) → handle
napi_value create(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  int64_t mtu = 0;
  std::string name;
  int64_t manual = 0;
  int64_t role = 0;
  if (!arguments.readInt(0, mtu) || !arguments.readText(1, name) || !arguments.readInt(2, manual) || !arguments.readInt(3, role)) {
    return nullptr;
  }
  if (!isMtu(mtu)) return throwErrno(env, "MTU", EINVAL);
  if (role != 0 && role != 1) return throwErrno(env, "role", EINVAL);
  const AeadBackend* aead = chooseAead(name.c_str());
  if (aead == nullptr) return throwErrno(env, "AEAD", ENOSYS);
  Handle* handle = new Handle{std::make_unique<Path>(*aead, static_cast<uint32_t>(mtu), role == 1 ? Role::kPlain : Role::kNode), env};
  if (!handle->path->canStop()) {
    delete handle;
    return throwErrno(env, "eventfd", EMFILE);
  }
  if (manual != 0) handle->path->recordInstead().hasHost = manual == 2;
  napi_add_env_cleanup_hook(env, Handle::onEnvironmentEnd, handle);
  napi_value result = nullptr;
  napi_create_external(env, handle, Handle::onFinalize, nullptr, &result);
  return result;
}

// setMtu(handle, mtuBytes)
napi_value setMtu(napi_env env, napi_callback_info info) {
  Call call(env, info);
  int64_t mtu = 0;
  if (call.path == nullptr || !call.readInt(1, mtu)) return nullptr;
  if (!isMtu(mtu)) return throwErrno(env, "MTU", EINVAL);
  call.path->engine().setMtu(static_cast<uint32_t>(mtu));
  return nullptr;
}

// start(handle, interface fd or -1, offload 0 none|1 TCP|2 TCP and UDP, onWake): the descriptor is ours from here on.
napi_value start(napi_env env, napi_callback_info info) {
  Call call(env, info);
  int64_t fd = -1;
  int64_t offload = 0;
  if (call.path == nullptr || !call.readInt(1, fd) || !call.readInt(2, offload)) return nullptr;
  if (offload < 0 || offload > 2) return throwErrno(env, "offload", EINVAL);
  if (call.handle->closed || call.handle->wake != nullptr) return throwErrno(env, "start", EALREADY);
  if (napi_create_threadsafe_function(env, call.at(3), nullptr, text(env, "pintail data path"), 0, 1, nullptr, nullptr, nullptr,
                                      callWake, &call.handle->wake) != napi_ok) {
    return throwErrno(env, "wake callback", EINVAL);
  }
  napi_threadsafe_function wake = call.handle->wake;
  call.path->up().onWake([wake] { napi_call_threadsafe_function(wake, nullptr, napi_tsfn_nonblocking); });
  if (fd >= 0) call.path->setInterface(static_cast<int>(fd), static_cast<Offload>(offload));
  if (!call.path->start()) return throwErrno(env, "packet threads", EAGAIN);
  return nullptr;
}

// setSockets(handle, v4 or -1, v6 or -1): closes those of before; they are ours from here on.
napi_value setSockets(napi_env env, napi_callback_info info) {
  Call call(env, info);
  int64_t v4 = -1;
  int64_t v6 = -1;
  if (call.path == nullptr || !call.readInt(1, v4) || !call.readInt(2, v6)) return nullptr;
  call.path->flush();
  call.path->pause();
  call.path->closeSockets();
  call.path->setSockets(static_cast<int>(v4), static_cast<int>(v6));
  if (call.handle->closed) {
    call.path->closeSockets();  // whoever opened these was overtaken by close()
  } else if (call.handle->wake != nullptr && !call.path->start()) {
    return throwErrno(env, "packet threads", EAGAIN);
  }
  return nullptr;
}

// At most one prefix of a single address for each family.
bool unpackPair(const uint8_t* bytes, size_t size, AddressPair& addresses) {
  std::vector<Prefix> prefixes;
  if (!unpackPrefixes(bytes, size, prefixes)) return false;
  for (const Prefix& prefix : prefixes) {
    (prefix.v6 ? addresses.hasV6 : addresses.hasV4) = true;
    (prefix.v6 ? addresses.v6 : addresses.v4) = prefix.ip;
  }
  return true;
}

// setPeer(handle, peer, jailed 0|1, prefixes, masquerade addresses)
napi_value setPeer(napi_env env, napi_callback_info info) {
  Call call(env, info);
  int64_t peer = 0;
  int64_t jailed = 0;
  uint8_t* bytes = nullptr;
  size_t size = 0;
  uint8_t* masqueradeBytes = nullptr;
  size_t masqueradeSize = 0;
  if (call.path == nullptr || !call.readInt(1, peer) || !call.readInt(2, jailed) || !call.readBytes(3, bytes, size) ||
      !call.readBytes(4, masqueradeBytes, masqueradeSize)) {
    return nullptr;
  }
  std::vector<Prefix> allowed;
  AddressPair masquerade;
  if (!unpackPrefixes(bytes, size, allowed)) return throwErrno(env, "prefixes", EINVAL);
  if (!unpackPair(masqueradeBytes, masqueradeSize, masquerade)) return throwErrno(env, "masquerade addresses", EINVAL);
  call.path->tables().setPeer(peer, jailed != 0, std::move(allowed), masquerade);
  return nullptr;
}

// setOwnAddresses(handle, addresses)
napi_value setOwnAddresses(napi_env env, napi_callback_info info) {
  Call call(env, info);
  uint8_t* bytes = nullptr;
  size_t size = 0;
  if (call.path == nullptr || !call.readBytes(1, bytes, size)) return nullptr;
  AddressPair own;
  if (!unpackPair(bytes, size, own)) return throwErrno(env, "addresses", EINVAL);
  call.path->tables().setOwnAddresses(own);
  return nullptr;
}

// setOwnDisco(handle, public key or nothing)
napi_value setOwnDisco(napi_env env, napi_callback_info info) {
  Call call(env, info);
  uint8_t* bytes = nullptr;
  size_t size = 0;
  if (call.path == nullptr || !call.readBytes(1, bytes, size)) return nullptr;
  if (size != 0 && size != OwnDisco::kKeyBytes) return throwErrno(env, "disco key", EINVAL);
  call.path->tables().setOwnDisco(size == 0 ? nullptr : bytes);
  return nullptr;
}

// removePeer(handle, peer)
napi_value removePeer(napi_env env, napi_callback_info info) {
  Call call(env, info);
  int64_t peer = 0;
  if (call.path != nullptr && call.readInt(1, peer)) call.path->tables().removePeer(peer);
  return nullptr;
}

// addKeypair(handle, peer, local index, remote index, send key and receive key, is next 0|1)
napi_value addKeypair(napi_env env, napi_callback_info info) {
  Call call(env, info);
  int64_t peer = 0;
  int64_t local = 0;
  int64_t remote = 0;
  int64_t isNext = 0;
  uint8_t* keys = nullptr;
  size_t size = 0;
  if (call.path == nullptr || !call.readInt(1, peer) || !call.readInt(2, local) || !call.readInt(3, remote) ||
      !call.readBytes(4, keys, size) || !call.readInt(5, isNext)) {
    return nullptr;
  }
  if (size != 2 * kKeySize) return throwErrno(env, "keys", EINVAL);
  const KeypairSpec spec{peer, static_cast<uint32_t>(local), static_cast<uint32_t>(remote), keys, keys + kKeySize, isNext != 0};
  if (!call.path->tables().addKeypair(spec, call.path->nowMs())) return throwErrno(env, "AEAD", ENOMEM);
  return nullptr;
}

// dropKeypair(handle, local index)
napi_value dropKeypair(napi_env env, napi_callback_info info) {
  Call call(env, info);
  int64_t index = 0;
  if (call.path != nullptr && call.readInt(1, index)) call.path->tables().dropKeypair(static_cast<uint32_t>(index));
  return nullptr;
}

// reap(handle, peer): frees the keypairs a confirmation rotated out.
napi_value reap(napi_env env, napi_callback_info info) {
  Call call(env, info);
  int64_t peer = 0;
  if (call.path != nullptr && call.readInt(1, peer)) call.path->tables().reap(peer);
  return nullptr;
}

// setDestination(handle, peer, address or nothing, vni or -1, relay 0|1)
napi_value setDestination(napi_env env, napi_callback_info info) {
  Call call(env, info);
  int64_t peer = 0;
  int64_t vni = -1;
  int64_t relay = 0;
  uint8_t* bytes = nullptr;
  size_t size = 0;
  if (call.path == nullptr || !call.readInt(1, peer) || !call.readBytes(2, bytes, size) || !call.readInt(3, vni) ||
      !call.readInt(4, relay)) {
    return nullptr;
  }
  Destination destination;
  destination.relay = relay != 0;
  destination.vni = static_cast<int32_t>(vni);
  destination.hasUdp = size == Address::kSize;
  if (destination.hasUdp) memcpy(destination.udp.bytes, bytes, size);
  call.path->tables().setDestination(peer, destination);
  return nullptr;
}

// setFilter(handle, table)
napi_value setFilter(napi_env env, napi_callback_info info) {
  Call call(env, info);
  uint8_t* bytes = nullptr;
  size_t size = 0;
  if (call.path == nullptr || !call.readBytes(1, bytes, size)) return nullptr;
  FilterTable table;
  if (!unpackFilter(bytes, size, table)) return throwErrno(env, "filter", EINVAL);
  call.path->tables().setFilter(table);
  return nullptr;
}

// setLocalServices(handle, prefixes)
napi_value setLocalServices(napi_env env, napi_callback_info info) {
  Call call(env, info);
  uint8_t* bytes = nullptr;
  size_t size = 0;
  if (call.path == nullptr || !call.readBytes(1, bytes, size)) return nullptr;
  std::vector<Prefix> addresses;
  if (!unpackPrefixes(bytes, size, addresses)) return throwErrno(env, "addresses", EINVAL);
  call.path->tables().setLocalServices(addresses);
  return nullptr;
}

// expectEcho(handle, identifier)
napi_value expectEcho(napi_env env, napi_callback_info info) {
  Call call(env, info);
  int64_t identifier = 0;
  if (call.path != nullptr && call.readInt(1, identifier)) {
    call.path->tables().expectEcho(static_cast<uint16_t>(identifier), call.path->nowMs());
  }
  return nullptr;
}

// sendDatagram(handle, address, bytes)
napi_value sendDatagram(napi_env env, napi_callback_info info) {
  Call call(env, info);
  Address to;
  uint8_t* bytes = nullptr;
  size_t size = 0;
  if (call.path == nullptr || !readAddress(call, 1, to) || !call.readBytes(2, bytes, size)) return nullptr;
  uint8_t* room = call.handle->closed || size > kMaxSuperPacket ? nullptr : call.path->lane().out.reserve(to, static_cast<uint32_t>(size));
  if (room == nullptr) {
    call.path->counters().drop(Drop::kNoSocket);
  } else {
    memcpy(room, bytes, size);
  }
  return nullptr;
}

// sendPacket(handle, peer, packet)
napi_value sendPacket(napi_env env, napi_callback_info info) {
  Call call(env, info);
  int64_t peer = 0;
  uint8_t* bytes = nullptr;
  size_t size = 0;
  if (call.path == nullptr || !call.readInt(1, peer) || !call.readBytes(2, bytes, size) || call.handle->closed) return nullptr;
  if (size > kMaxSuperPacket) {
    if (call.path->tables().peer(peer) != nullptr) call.path->counters().drop(Drop::kTooLong);
    return nullptr;
  }
  call.path->engine().sendPacket(call.path->lane(), peer, bytes, static_cast<uint32_t>(size));
  return nullptr;
}

// receiveFromRelay(handle, datagram)
napi_value receiveFromRelay(napi_env env, napi_callback_info info) {
  Call call(env, info);
  uint8_t* bytes = nullptr;
  size_t size = 0;
  if (call.path == nullptr || !call.readBytes(1, bytes, size) || call.handle->closed || size > kMaxSuperPacket) return nullptr;
  const uint32_t size32 = static_cast<uint32_t>(size);
  uint8_t* const copy = call.path->keep(bytes, size32);
  call.path->engine().fromRelay(call.path->lane(), copy, size32);
  return nullptr;
}

// writeToHost(handle, packet)
napi_value writeToHost(napi_env env, napi_callback_info info) {
  Call call(env, info);
  uint8_t* bytes = nullptr;
  size_t size = 0;
  if (call.path == nullptr || !call.readBytes(1, bytes, size) || call.handle->closed || size > kMaxSuperPacket) return nullptr;
  const uint32_t size32 = static_cast<uint32_t>(size);
  uint8_t* const copy = call.path->keep(bytes, size32);
  call.path->engine().toHost(call.path->lane(), copy, size32);
  return nullptr;
}

// flush(handle): sends what JavaScript's calls left waiting. Answers whether activity waits for a take(): packet threads tell of
// theirs, this thread has to see to its own.
napi_value flush(napi_env env, napi_callback_info info) {
  Call call(env, info);
  if (call.path == nullptr) return nullptr;
  if (!call.handle->closed) call.path->flush();
  napi_value result = nullptr;
  napi_get_boolean(env, call.path->up().hasActivity(), &result);
  return result;
}

// take(handle) → records (up.h), or undefined.
napi_value take(napi_env env, napi_callback_info info) {
  Call call(env, info);
  if (call.path == nullptr) return nullptr;
  std::vector<uint8_t> records;
  return call.path->up().take(records, call.path->nowMs()) ? bytesOf(env, records) : nullptr;
}

// stats(handle) → { aead, drops, faults, peers: [id, rxBytes, txBytes, rxPackets, txPackets, …] }
napi_value stats(napi_env env, napi_callback_info info) {
  Call call(env, info);
  if (call.path == nullptr) return nullptr;
  const Counters& counters = call.path->counters();
  napi_value drops = nullptr;
  napi_create_object(env, &drops);
  for (size_t i = 0; i < static_cast<size_t>(Drop::kCount); i++) {
    if (counters.drops(i) > 0) setMember(env, drops, kDropNames[i], number(env, static_cast<double>(counters.drops(i))));
  }
  napi_value faults = nullptr;
  napi_create_object(env, &faults);
  for (size_t i = 0; i < static_cast<size_t>(Fault::kCount); i++) {
    if (counters.faults(i) > 0) setMember(env, faults, kFaultNames[i], number(env, static_cast<double>(counters.faults(i))));
  }
  const auto& table = call.path->tables().peers();
  napi_value buffer = nullptr;
  napi_value peers = nullptr;
  void* data = nullptr;
  if (napi_create_arraybuffer(env, table.size() * 5 * sizeof(double), &data, &buffer) != napi_ok) return nullptr;
  napi_create_typedarray(env, napi_float64_array, table.size() * 5, buffer, 0, &peers);
  double* at = static_cast<double*>(data);
  for (const auto& [id, peer] : table) {
    *at++ = static_cast<double>(id);
    for (const std::atomic<uint64_t>* counter : {&peer->rxBytes, &peer->txBytes, &peer->rxPackets, &peer->txPackets}) {
      *at++ = static_cast<double>(counter->load());
    }
  }
  napi_value result = nullptr;
  napi_create_object(env, &result);
  setMember(env, result, "aead", text(env, call.path->aeadName()));
  setMember(env, result, "drops", drops);
  setMember(env, result, "faults", faults);
  setMember(env, result, "peers", peers);
  return result;
}

// close(handle): sends what waits; the threads have ended when this returns.
napi_value close(napi_env env, napi_callback_info info) {
  Call call(env, info);
  if (call.handle != nullptr) call.handle->close();
  return nullptr;
}

// For tests of a manual path.

// A copy that may be changed.
uint8_t* copied(std::vector<uint8_t>& place, const uint8_t* bytes, size_t size) {
  place.assign(bytes, bytes + size);
  return place.data();
}

// setClock(handle, ms)
napi_value setClock(napi_env env, napi_callback_info info) {
  Call call(env, info);
  int64_t ms = 0;
  if (call.path != nullptr && call.readInt(1, ms)) call.path->setClock(static_cast<uint64_t>(ms));
  return nullptr;
}

// feedNetwork(handle, address, datagram): as if it had arrived.
napi_value feedNetwork(napi_env env, napi_callback_info info) {
  Call call(env, info);
  Address from;
  uint8_t* bytes = nullptr;
  size_t size = 0;
  if (call.path == nullptr || !readAddress(call, 1, from) || !call.readBytes(2, bytes, size)) return nullptr;
  std::vector<uint8_t> copy;
  Lane& lane = call.path->lane();
  lane.heard = nullptr;
  call.path->tables().lock.lock_shared();
  call.path->engine().fromNetwork(lane, copied(copy, bytes, size), static_cast<uint32_t>(size), from);
  call.path->tables().lock.unlock_shared();
  return nullptr;
}

// feedHost(handle, packet with its offload header): as if the host had sent it.
napi_value feedHost(napi_env env, napi_callback_info info) {
  Call call(env, info);
  uint8_t* bytes = nullptr;
  size_t size = 0;
  if (call.path == nullptr || !call.readBytes(1, bytes, size)) return nullptr;
  std::vector<uint8_t> copy;
  copied(copy, bytes, size);
  Segments segments;
  call.path->fromInterface(call.path->lane(), segments, copy.data(), static_cast<uint32_t>(size), true);
  return nullptr;
}

// takeSent(handle), takeWritten(handle) → what has gone out since (recorder.h)
napi_value takeSent(napi_env env, napi_callback_info info) {
  Call call(env, info);
  if (call.path == nullptr) return nullptr;
  napi_value result = bytesOf(env, call.path->recordInstead().sent);
  call.path->recordInstead().sent.clear();
  return result;
}

napi_value takeWritten(napi_env env, napi_callback_info info) {
  Call call(env, info);
  if (call.path == nullptr) return nullptr;
  napi_value result = bytesOf(env, call.path->recordInstead().written);
  call.path->recordInstead().written.clear();
  return result;
}

// aeadSeal(backend, key, nonce, more, plain) → sealed; aeadOpen(…, sealed) → plain, or undefined when it is not authentic.
napi_value aeadSeal(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  std::string name;
  uint8_t* parts[4] = {};
  size_t sizes[4] = {};
  if (!arguments.readText(0, name)) return nullptr;
  for (size_t i = 0; i < 4; i++) {
    if (!arguments.readBytes(i + 1, parts[i], sizes[i])) return nullptr;
  }
  const AeadBackend* aead = chooseAead(name.c_str());
  if (aead == nullptr || sizes[0] != kKeySize || sizes[1] != kNonceSize) return throwErrno(env, "AEAD", EINVAL);
  std::vector<uint8_t> data(sizes[3] + kTagSize);
  if (sizes[3] > 0) memcpy(data.data(), parts[3], sizes[3]);
  if (!aead->sealWith(parts[0], parts[1], parts[2], sizes[2], data.data(), sizes[3])) return throwErrno(env, "AEAD", EIO);
  return bytesOf(env, data);
}

napi_value aeadOpen(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  std::string name;
  uint8_t* parts[4] = {};
  size_t sizes[4] = {};
  if (!arguments.readText(0, name)) return nullptr;
  for (size_t i = 0; i < 4; i++) {
    if (!arguments.readBytes(i + 1, parts[i], sizes[i])) return nullptr;
  }
  const AeadBackend* aead = chooseAead(name.c_str());
  if (aead == nullptr || sizes[0] != kKeySize || sizes[1] != kNonceSize || sizes[3] < kTagSize) {
    return throwErrno(env, "AEAD", EINVAL);
  }
  std::vector<uint8_t> data(parts[3], parts[3] + sizes[3]);
  const size_t size = sizes[3] - kTagSize;
  if (!aead->openWith(parts[0], parts[1], parts[2], sizes[2], data.data(), size)) return nullptr;
  data.resize(size);
  return bytesOf(env, data);
}

struct Export {
  const char* name;
  napi_callback call;
};

constexpr Export kExports[] = {
    {"hasBackend", hasBackend},
    {"create", create},
    {"setMtu", setMtu},
    {"start", start},
    {"setSockets", setSockets},
    {"setPeer", setPeer},
    {"setOwnAddresses", setOwnAddresses},
    {"setOwnDisco", setOwnDisco},
    {"removePeer", removePeer},
    {"addKeypair", addKeypair},
    {"dropKeypair", dropKeypair},
    {"reap", reap},
    {"setDestination", setDestination},
    {"setFilter", setFilter},
    {"setLocalServices", setLocalServices},
    {"expectEcho", expectEcho},
    {"sendDatagram", sendDatagram},
    {"sendPacket", sendPacket},
    {"receiveFromRelay", receiveFromRelay},
    {"writeToHost", writeToHost},
    {"flush", flush},
    {"take", take},
    {"stats", stats},
    {"close", close},
    {"setClock", setClock},
    {"feedNetwork", feedNetwork},
    {"feedHost", feedHost},
    {"takeSent", takeSent},
    {"takeWritten", takeWritten},
    {"aeadSeal", aeadSeal},
    {"aeadOpen", aeadOpen},
    {"aeadProblem", aeadProblem},
    {"aeadBatch", aeadBatch},
    {"aeadTime", aeadTime},
    {"filterRate", filterRate},
};

}  // namespace

napi_value dataPathFunctions(napi_env env) {
  napi_value object = nullptr;
  napi_create_object(env, &object);
  for (const Export& entry : kExports) {
    napi_value function = nullptr;
    napi_create_function(env, entry.name, NAPI_AUTO_LENGTH, entry.call, nullptr, &function);
    setMember(env, object, entry.name, function);
  }
  return object;
}

}  // namespace pintail
