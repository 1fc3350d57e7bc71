// The whole packet path by hand: hosts' packets in, datagrams out and back in, between any changes of the tables. Keys are
// known, so what the fuzzer writes is sealed as a peer would. The cipher is OpenSSL's.
//
// What must hold: no counter is used twice under one key; what leaves opens to what was to be sent, padded with zeros; what
// reaches the host came sealed from a peer that owns its source, once; every packet ends in exactly one place or counter.
//
// Input: steps of u8 kind and what that needs. `plain.cpp` is the same for a plain WireGuard device.
#include "../addon/datapath/engine.h"
#include "../addon/datapath/mss.h"
#include "../addon/datapath/service-echo.h"

#include <map>
#include <set>

#include "openssl.h"
#include "packets.h"

using namespace pintail;

namespace {

#ifndef FUZZ_ROLE
#define FUZZ_ROLE Role::kNode
#endif
constexpr bool kIsPlain = FUZZ_ROLE == Role::kPlain;
constexpr uint32_t kMtu = 1280;
constexpr uint32_t kOverhead = 32;

// OpenSSL's, which at times refuses to seal and leaves the packet as it was.
bool cipherRefuses = false;
class Moody final : public Aead {
 public:
  explicit Moody(std::unique_ptr<Aead> cipher) : cipher_(std::move(cipher)) {}
  bool seal(const uint8_t* nonce, uint8_t* data, size_t size) override { return !cipherRefuses && cipher_->seal(nonce, data, size); }
  bool open(const uint8_t* nonce, uint8_t* data, size_t size) override { return cipher_->open(nonce, data, size); }

 private:
  const std::unique_ptr<Aead> cipher_;
};

const AeadBackend& backend() {
  static AeadBackend moody = fuzz::openSsl();
  moody.create = [](const uint8_t* sendKey, const uint8_t* receiveKey) -> std::unique_ptr<Aead> {
    return std::make_unique<Moody>(fuzz::openSsl().create(sendKey, receiveKey));
  };
  return moody;
}

void keysOf(uint32_t local, uint8_t (&keys)[2 * kKeySize]) {
  for (size_t i = 0; i < sizeof keys; i++) keys[i] = static_cast<uint8_t>(local * 31 + i * 7);
}

// What passes unchanged but for the MSS of a SYN; the other changes have a target of their own (changes.cpp).
fuzz::Bytes onItsWay(fuzz::Bytes packet) {
  PacketFields p;
  if (!kIsPlain && !packet.empty() && p.read(packet.data(), static_cast<uint32_t>(packet.size())) && (p.tcpFlags & kSynFlag) != 0) {
    lowerMss(packet.data(), p, kMtu);
  }
  return packet;
}

class Recorder final : public Wire {
 public:
  struct Datagram {
    Address to;
    fuzz::Bytes bytes;
  };
  std::vector<Datagram> sent;
  bool hasFamily(bool v6) const override { return !v6; }
  void send(Shipment* shipments, uint32_t count) override {
    for (uint32_t i = 0; i < count; i++) {
      const Shipment& s = shipments[i];
      for (uint32_t at = 0; at < s.size; at += s.segment) {
        const uint32_t left = s.size - at;
        sent.push_back({s.to, fuzz::Bytes(s.bytes + at, s.bytes + at + (left < s.segment ? left : s.segment))});
      }
    }
  }
};

class Host final : public HostOut {
 public:
  bool there = true;
  std::vector<fuzz::Bytes> written;
  bool exists() const override { return there; }
  void add(uint8_t* packet, uint32_t length) override { written.emplace_back(packet, packet + length); }
  void flush() override {}
};

// One record of Up, as native-events.ts reads it.
struct Record {
  UpKind kind;
  PeerId peer;
  fuzz::Bytes bytes;
};

class Bench {
 public:
  explicit Bench(fuzz::Input& input) : in(input), up(counters), tables(backend(), up), engine(tables, up, counters, kMtu, FUZZ_ROLE), lane(wire, host) {}

  void step();

 private:
  void change(uint8_t kind);
  void fromHost();
  void ownPacket();
  void sealed();
  void replayed();
  void noise();
  void fromNetwork(fuzz::Exact& datagram, const Address& from);
  void settle(uint32_t expected, const std::vector<fuzz::Bytes>& outbound);
  fuzz::Bytes packet();
  Address address();
  uint64_t drops() const;

  fuzz::Input& in;
  Counters counters;
  Up up;
  Tables tables;
  Engine engine;
  Recorder wire;
  Host host;
  Lane lane;

  std::set<std::pair<uint32_t, uint64_t>> used;  // remote index, counter: what we sent under
  std::map<uint32_t, uint32_t> localOf;          // remote index → local index, for each keypair that ever was
  std::map<uint32_t, uint64_t> remoteCounter;
  std::vector<fuzz::Bytes> history;              // authentic datagrams that were given already
  std::set<fuzz::Bytes> accepted;
  uint32_t nextLocal = 1;
  uint64_t before = 0;
  uint64_t refusedBefore = 0;
};

uint64_t Bench::drops() const {
  uint64_t sum = 0;
  for (size_t i = 0; i < static_cast<size_t>(Drop::kCount); i++) sum += counters.drops(i);
  return sum;
}

Address Bench::address() {
  Address result;
  const uint8_t kind = in.u8();
  const sa_family_t family = kind & 1 ? AF_INET6 : AF_INET;
  memcpy(result.bytes, &family, sizeof family);
  result.bytes[3] = kind;
  return result;
}

// Well-formed between our few addresses, or anything.
fuzz::Bytes Bench::packet() {
  const uint8_t kind = in.u8();
  if ((kind & 7) == 7) return in.bytes(in.u16() % 1600);
  constexpr uint8_t kProtocols[] = {kTcp, 17, 1, 58, 99, 132, 47, kTcp};
  const uint8_t protocol = kProtocols[kind >> 4 & 7];
  fuzz::Bytes transport = in.bytes(in.u8());
  if (transport.size() < 24) transport.resize(24);
  if (protocol == kTcp) transport[12] = 0x50;
  fuzz::Bytes p = fuzz::ipPacket((kind & 8) != 0, protocol, in.u8() & 7, in.u8() & 7, transport);
  if ((kind & 7) == 6) p[in.u8() % p.size()] ^= in.u8();
  if ((kind & 7) == 5) p.resize(p.size() + in.u8() % 32);  // padding
  return p;
}

void Bench::change(uint8_t kind) {
  const PeerId peer = in.u8() & 3;
  switch (kind) {
    case 0: {
      std::vector<Prefix> allowed;
      for (uint32_t i = in.below(3); i-- > 0;) {
        Ip ip;
        const bool v6 = (in.u8() & 1) != 0;
        ip.w[0] = v6 ? 0xfd000000 : 0x64400000;
        ip.w[v6 ? 3 : 0] |= in.u8() & 7;
        constexpr uint8_t kShorter[] = {0, 1, 8, 32};
        allowed.emplace_back(v6, (v6 ? 128u : 32u) - kShorter[in.u8() & 3], ip);
      }
      tables.setPeer(peer, (in.u8() & 7) == 7, allowed);
      break;
    }
    case 1:
      tables.removePeer(peer);
      break;
    case 2: {
      uint8_t keys[2 * kKeySize];
      const uint32_t local = nextLocal++;
      keysOf(local, keys);
      localOf[local + 1000] = local;
      CHECK(tables.addKeypair({peer, local, local + 1000, keys, keys + kKeySize, (in.u8() & 1) != 0}, lane.nowMs));
      break;
    }
    case 3:
      tables.dropKeypair(in.u8() % nextLocal);
      break;
    case 4: {
      const uint8_t flags = in.u8();
      Destination to;
      to.hasUdp = (flags & 3) != 0;
      to.relay = (flags & 12) == 12;
      to.vni = (flags & 48) == 48 ? in.u16() : -1;
      to.udp = address();
      tables.setDestination(peer, to);
      break;
    }
    case 5: {
      FilterTable table;
      table.shieldsUp = (in.u8() & 7) == 7;
      table.localNets = {Prefix(false, 0, {}), Prefix(true, 0, {})};
      if ((in.u8() & 1) != 0) {
        table.rules.push_back({{Prefix(false, 0, {}), Prefix(true, 0, {})},
                               {},
                               {{Prefix(false, 0, {}), 0, 65535}, {Prefix(true, 0, {}), 0, 65535}},
                               {1, 6, 17, 58, 132, 47}});
      }
      table.peerApi.push_back({Prefix(false, 32, {{0x64400001, 0, 0, 0}}), 1});
      tables.setFilter(table);
      break;
    }
    case 6: {
      std::vector<Prefix> services;
      if ((in.u8() & 1) != 0) services.emplace_back(false, 32, Ip{{0x64400000u | (in.u8() & 7), 0, 0, 0}});
      tables.setLocalServices(services);
      break;
    }
    case 7:
      tables.expectEcho(in.u8(), lane.nowMs);
      break;
    case 8:
      tables.reap(peer);
      break;
    case 9:
      lane.nowMs += in.u16() * 4;
      break;
    default:
      // A packet thread has looked at the clock before a change that it then sees.
      lane.nowMs -= lane.nowMs > 1000 ? in.u8() : 0;
  }
}

// Takes all that came out since the last call. `outbound`: what was to be sealed, in order; `expected`: how many packets
// have to be accounted for besides those.
void Bench::settle(uint32_t expected, const std::vector<fuzz::Bytes>& outbound) {
  lane.out.flush();
  std::vector<uint8_t> bytes;
  up.take(bytes, lane.nowMs);
  std::vector<Record> records;
  for (size_t at = 0; at < bytes.size();) {
    uint32_t length = 0;
    uint32_t size = 0;
    double peer = 0;
    CHECK(at + 60 <= bytes.size());
    memcpy(&length, &bytes[at], 4);
    memcpy(&size, &bytes[at + 56], 4);
    memcpy(&peer, &bytes[at + 8], 8);
    CHECK(length % 8 == 0 && length >= 60 + size && at + length <= bytes.size());
    records.push_back({static_cast<UpKind>(bytes[at + 4]), static_cast<PeerId>(peer),
                       fuzz::Bytes(bytes.begin() + static_cast<std::ptrdiff_t>(at) + 60, bytes.begin() + static_cast<std::ptrdiff_t>(at) + 60 + size)});
    at += length;
  }

  // What was sealed, whichever way it goes.
  std::vector<fuzz::Bytes> sealed;
  uint32_t ends = 0;
  for (const Recorder::Datagram& d : wire.sent) {
    const bool wrapped = d.bytes.size() >= 8 && d.bytes[2] == 0x7a && d.bytes[3] == 0x12;
    sealed.emplace_back(d.bytes.begin() + (wrapped ? 8 : 0), d.bytes.end());
  }
  std::set<fuzz::Bytes> bySocket(sealed.begin(), sealed.end());
  for (const Record& r : records) {
    switch (r.kind) {
      case UpKind::kToRelay:
        if (bySocket.count(r.bytes) == 0) sealed.push_back(r.bytes);
        break;
      case UpKind::kActivity:
      case UpKind::kConfirmed:
        CHECK(r.bytes.empty());
        break;
      default:
        ends++;
    }
  }
  size_t next = 0;
  for (fuzz::Bytes& d : sealed) {
    CHECK(d.size() >= kOverhead && (d.size() - kOverhead) % 16 == (d.size() - kOverhead > kMtu ? (d.size() - kOverhead) % 16 : 0));
    CHECK(d[0] == 4 && d[1] == 0 && d[2] == 0 && d[3] == 0);
    uint32_t remote = 0;
    uint64_t counter = 0;
    memcpy(&remote, &d[4], 4);
    memcpy(&counter, &d[8], 8);
    CHECK(localOf.count(remote) == 1);
    CHECK(used.insert({remote, counter}).second);
    uint8_t keys[2 * kKeySize];
    keysOf(localOf[remote], keys);
    uint8_t nonce[kNonceSize] = {};
    memcpy(nonce + 4, &counter, 8);
    const size_t size = d.size() - kOverhead;
    CHECK(backend().openWith(keys, nonce, nullptr, 0, &d[16], size));
    // Ours, in order, then zeros. A rejection of ours is a 27-byte TSMP packet nobody asked for.
    const bool isReject = !kIsPlain && outbound.empty() && size == 32 && d[16] == 0x45 && d[16 + 9] == 99;
    if (isReject) continue;
    bool found = false;
    while (next < outbound.size() && !found) {
      const fuzz::Bytes& wanted = outbound[next++];
      found = wanted.size() <= size && size - wanted.size() < 16 && std::equal(wanted.begin(), wanted.end(), d.begin() + 16);
      for (size_t i = wanted.size(); found && i < size; i++) found = d[16 + i] == 0;
    }
    CHECK(found);
    ends++;
  }
  ends += static_cast<uint32_t>(host.written.size());
  ends += static_cast<uint32_t>(drops() - before);
  before = drops();
  // What could not be sealed has not left: all that has, above, was opened.
  const uint64_t refused = counters.faults(static_cast<size_t>(Fault::kSeal));
  CHECK(refused == refusedBefore || cipherRefuses);
  ends += static_cast<uint32_t>(refused - refusedBefore);
  refusedBefore = refused;
  // A rejection may follow a drop, and itself end anywhere.
  CHECK(ends >= expected && ends <= expected + (outbound.empty() && expected > 0 ? 1 : 0));
  wire.sent.clear();
}

void Bench::fromHost() {
  const uint8_t kind = in.u8();
  OffloadHeader header;
  fuzz::Bytes bytes;
  if ((kind & 1) == 0) {
    bytes = packet();
  } else {
    // A TCP super-packet.
    const bool v6 = (kind & 2) != 0;
    fuzz::Bytes tcp(20 + in.u16() % 8000);
    for (size_t i = 20; i < tcp.size(); i++) tcp[i] = static_cast<uint8_t>(i * 5);
    tcp[12] = 0x50;
    tcp[13] = kAck;
    bytes = fuzz::ipPacket(v6, kTcp, in.u8() & 7, in.u8() & 7, tcp);
    header.flags = kNeedsChecksum;
    header.gsoType = v6 ? kGsoTcpV6 : kGsoTcpV4;
    header.segmentSize = static_cast<uint16_t>((kind & 4) != 0 ? in.u16() : 1200);
    header.checksumStart = v6 ? 40 : 20;
    header.checksumOffset = 16;
  }
  if (bytes.empty()) return;
  const uint32_t length = static_cast<uint32_t>(bytes.size());
  fuzz::Exact copy(bytes);
  Segments segments;
  std::vector<fuzz::Bytes> wanted;
  if (!segments.open(header, copy.data(), length, kMaxSuperPacket)) return;
  while (!segments.isEmpty()) {
    fuzz::Bytes piece(segments.nextLength());
    segments.take(piece.data());
    wanted.push_back(onItsWay(piece));
  }
  fuzz::Exact given(bytes);
  CHECK(segments.open(header, given.data(), length, kMaxSuperPacket));
  engine.fromHost(lane, segments, given.data(), length);
  // Only the answer to an echo request comes back at once.
  PacketFields p;
  const bool isEcho = !kIsPlain && p.read(bytes.data(), length) && isServiceEcho(bytes.data(), p);
  CHECK(host.written.empty() || isEcho);
  settle(static_cast<uint32_t>(wanted.size()), wanted);
  host.written.clear();
}

void Bench::ownPacket() {
  const PeerId id = in.u8() & 3;
  const fuzz::Bytes bytes = (in.u8() & 3) == 0 ? fuzz::Bytes{} : packet();
  fuzz::Exact copy(bytes);
  const bool known = tables.peer(id) != nullptr;
  engine.sendPacket(lane, id, copy.data(), static_cast<uint32_t>(copy.size()));
  settle(known ? 1 : 0, {bytes});
}

// Each datagram is a bunch of its own, as Path::handle has it: one that is not may come from somewhere else.
void Bench::fromNetwork(fuzz::Exact& datagram, const Address& from) {
  lane.heard = nullptr;
  engine.fromNetwork(lane, datagram.data(), static_cast<uint32_t>(datagram.size()), from);
}

void Bench::sealed() {
  const uint32_t local = in.u8() % nextLocal;
  const uint8_t kind = in.u8();
  const fuzz::Bytes plain = (kind & 1) != 0 ? packet() : (kind & 2) != 0 ? in.bytes(in.u8()) : fuzz::Bytes{};
  uint64_t& next = remoteCounter[local];
  uint64_t counter = 0;
  switch (kind >> 2 & 3) {
    case 0:
    case 1:
      counter = next++;
      break;
    case 2:
      counter = next += in.u16();
      break;
    default:
      counter = in.u64();
  }
  const Keypair* pair = tables.keypair(local);
  const Peer* peer = pair == nullptr ? nullptr : pair->peer;
  const PeerId id = peer == nullptr ? -1 : peer->id;
  const uint32_t padded = static_cast<uint32_t>((plain.size() + 15) / 16 * 16);
  const uint32_t before8 = (kind & 16) != 0 ? 8 : 0;
  fuzz::Bytes d(before8 + kOverhead + padded);
  if (before8 != 0) d[2] = 0x7a, d[3] = 0x12, d[6] = in.u8();
  d[before8] = 4;
  memcpy(&d[before8 + 4], &local, 4);
  memcpy(&d[before8 + 8], &counter, 8);
  if (!plain.empty()) memcpy(&d[before8 + 16], plain.data(), plain.size());
  uint8_t keys[2 * kKeySize];
  keysOf(local, keys);
  uint8_t nonce[kNonceSize] = {};
  memcpy(nonce + 4, &counter, 8);
  CHECK(backend().sealWith(keys + kKeySize, nonce, nullptr, 0, &d[before8 + 16], padded));
  const bool spoiled = (kind & 0xe0) == 0xe0;
  if (spoiled) d[before8 + 16 + in.u8() % (padded + 16)] ^= 1;
  const bool relayed = before8 == 0 && (kind & 0xe0) == 0x20;
  if (!spoiled) history.push_back(d);

  fuzz::Exact copy(d);
  const Address from = address();
  const uint64_t heard = peer == nullptr ? 0 : peer->rxPackets.load();
  const Destination toBefore = peer == nullptr ? Destination{} : peer->destination;
  const uint64_t expired = counters.drops(static_cast<size_t>(Drop::kInKeypairExpired));
  const bool isOld = pair != nullptr && lane.nowMs > pair->createdAtMs && lane.nowMs - pair->createdAtMs >= kRejectAfterMs;
  if (relayed) engine.fromRelay(lane, copy.data(), static_cast<uint32_t>(d.size()));
  else fromNetwork(copy, from);

  CHECK(counters.drops(static_cast<size_t>(Drop::kInKeypairExpired)) == expired + (isOld ? 1 : 0));
  if (peer != nullptr) {
    // Only what is authentic and new moves a peer, and only that of a plain device.
    const bool follows = kIsPlain && !relayed && peer->rxPackets.load() > heard;
    const Destination& to = peer->destination;
    CHECK(to.hasUdp == (follows || toBefore.hasUdp) && to.udp == (follows ? from : toBefore.udp));
    CHECK(to.relay == toBefore.relay && to.vni == toBefore.vni);
  }
  CHECK(host.written.size() <= 1);
  for (const fuzz::Bytes& w : host.written) {
    CHECK(!spoiled && pair != nullptr && host.there);
    CHECK(accepted.insert(d).second);
    const fuzz::Bytes expected = onItsWay(plain);
    CHECK(w.size() <= padded && std::equal(w.begin(), w.end(), expected.begin(), expected.begin() + static_cast<std::ptrdiff_t>(std::min(w.size(), plain.size()))));
    PacketFields p;
    CHECK(p.read(w.data(), static_cast<uint32_t>(w.size())) && p.totalBytes == w.size());
    CHECK(tables.peer(id) == peer && peer->owns(p.v6, p.source));
    if (kIsPlain) {
      CHECK(tables.route(p.v6, p.source) == peer);
    } else {
      CHECK(p.protocol != kTsmp && p.protocol != kProtocolUnknown);
      CHECK(!tables.isLocalService(p.v6, p.destination));
    }
  }
  settle(padded == 0 && drops() == before && pair != nullptr ? 0 : 1, {});
  host.written.clear();
}

// Heard again, as it was: never to the host a second time.
void Bench::replayed() {
  if (history.empty()) return;
  const fuzz::Bytes& d = history[in.below(static_cast<uint32_t>(history.size()))];
  fuzz::Exact copy(d);
  fromNetwork(copy, address());
  for (const fuzz::Bytes& w : host.written) {
    CHECK(!w.empty());
    CHECK(accepted.insert(d).second);
  }
  // Only a keepalive may end nowhere.
  const bool isEmpty = d.size() == kOverhead || (d[2] == 0x7a && d.size() == kOverhead + 8);
  uint32_t local = 0;
  memcpy(&local, &d[d[2] == 0x7a ? 12 : 4], 4);
  settle(isEmpty && drops() == before && tables.keypair(local) != nullptr ? 0 : 1, {});
  host.written.clear();
}

void Bench::noise() {
  const fuzz::Bytes d = in.bytes(in.u8());
  fuzz::Exact copy(d);
  fromNetwork(copy, address());
  CHECK(host.written.empty());
  settle(1, {});
}

void Bench::step() {
  const uint8_t kind = in.u8();
  if (kind < 120) return change(kind % 11);
  if (kind < 160) return fromHost();
  if (kind < 180) return ownPacket();
  if (kind < 230) return sealed();
  if (kind < 240) return replayed();
  if (kind < 250) return noise();
  if (kind < 253) host.there = (kind & 1) == 0;
  else cipherRefuses = (kind & 1) == 0;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Input in(data, size);
  cipherRefuses = false;
  Bench bench(in);
  for (uint32_t steps = 0; !in.isEmpty() && steps < 200; steps++) bench.step();
  return 0;
}
