#include "engine.h"

#include <cstring>

#include "../checksum.h"
#include "masquerade.h"
#include "mss.h"
#include "service-echo.h"

namespace pintail {

namespace {

constexpr uint32_t kGeneveBytes = 8;
constexpr uint32_t kHeaderBytes = 16;
constexpr uint32_t kMinTransport = kHeaderBytes + kTagSize;
// Shorter than anything we speak (STUN 20): noise, or the one-byte tails of some offload work-arounds.
constexpr uint32_t kMinDatagram = 20;
constexpr uint32_t kPadding = 16;
constexpr uint32_t kTransportData = 4;

uint32_t little32(const uint8_t* at) {
  return static_cast<uint32_t>(at[0]) | static_cast<uint32_t>(at[1]) << 8 | static_cast<uint32_t>(at[2]) << 16 |
         static_cast<uint32_t>(at[3]) << 24;
}

void putLittle32(uint8_t* at, uint32_t value) {
  for (int i = 0; i < 4; i++) at[i] = static_cast<uint8_t>(value >> i * 8);
}

bool isTransport(const uint8_t* bytes, uint32_t size) { return size >= kMinTransport && little32(bytes) == kTransportData; }

bool isGeneveWireGuard(const uint8_t* b) {
  return b[2] == 0x7a && b[3] == 0x12 && (b[0] & 0xc0) == 0 && (b[1] & 0x3f) == 0 && b[7] == 0;
}

void putGeneveHeader(uint8_t* at, int32_t vni) {
  const uint32_t value = static_cast<uint32_t>(vni);
  const uint8_t header[kGeneveBytes] = {0, 0, 0x7a, 0x12, static_cast<uint8_t>(value >> 16), static_cast<uint8_t>(value >> 8),
                                        static_cast<uint8_t>(value), 0};
  memcpy(at, header, sizeof header);
}

Drop outboundDrop(Verdict verdict) {
  switch (verdict) {
    case Verdict::kTooShort:
      return Drop::kOutTooShort;
    case Verdict::kMulticast:
      return Drop::kOutMulticast;
    case Verdict::kLinkLocal:
      return Drop::kOutLinkLocal;
    default:
      return Drop::kOutUnknownProtocol;
  }
}

Drop inboundDrop(Verdict verdict) {
  switch (verdict) {
    case Verdict::kTooShort:
      return Drop::kInTooShort;
    case Verdict::kUnknownProtocol:
      return Drop::kInUnknownProtocol;
    case Verdict::kMulticast:
      return Drop::kInMulticast;
    case Verdict::kLinkLocal:
      return Drop::kInLinkLocal;
    case Verdict::kDestination:
      return Drop::kInDestination;
    default:
      return Drop::kInAcl;
  }
}

}  // namespace

// Zero padding to 16, but never beyond the tunnel's MTU.
uint32_t Engine::paddedLength(uint32_t length) const {
  const uint32_t most = mtu();
  const uint32_t last = length > most ? length % most : length;
  const uint32_t rounded = (last + kPadding - 1) / kPadding * kPadding;
  return length - last + (rounded < most ? rounded : most);
}

Peer* Engine::route(Lane& lane, const PacketFields& p) {
  auto& known = lane.route;
  if (known.generation == tables_.generation() && known.v6 == p.v6 && known.destination == p.destination) return known.peer;
  known = {tables_.generation(), p.v6, p.destination, tables_.route(p.v6, p.destination)};
  return known.peer;
}

void Engine::fromHost(Lane& lane, Segments& segments, const uint8_t* packet, uint32_t length) {
  PacketFields p;
  const uint32_t count = segments.count();
  if (!p.read(packet, length)) {
    counters_.drop(length < 20 ? Drop::kOutTooShort : Drop::kOutUnknownProtocol, count);
    return;
  }
  if (isPlain_) {
    fromHostPlain(lane, segments, p);
    return;
  }
  if (isServiceEcho(packet, p)) {
    answerServiceEcho(lane, segments, p);
    return;
  }
  if (p.protocol == kTsmp) {
    counters_.drop(Drop::kOutTsmp, count);
    return;
  }
  if (carriesOwnDisco(segments, packet, p)) {
    counters_.drop(Drop::kOutOwnDisco, count);
    return;
  }
  if (tables_.isLocalService(p.v6, p.destination)) {
    while (!segments.isEmpty()) {
      const uint32_t size = segments.take(lane.scratch.get());
      up_.push({.kind = UpKind::kLocal, .bytes = lane.scratch.get(), .size = size});
    }
    return;
  }
  Peer* peer = route(lane, p);
  const Verdict verdict = tables_.filterFor(peer).outbound(p);
  if (verdict != Verdict::kAccept) {
    counters_.drop(outboundDrop(verdict), count);
    return;
  }
  if (peer == nullptr) {
    counters_.drop(Drop::kOutNoRoute, count);
    return;
  }
  Changes changes;
  if (!findChanges(lane, *peer, packet, p, count, changes)) return;
  if (!changes.any()) {
    while (!segments.isEmpty()) {
      seal(lane, *peer, peer->destination, segments.nextLength(), [&segments](uint8_t* target) { segments.take(target); });
    }
    return;
  }
  const uint32_t growth = changes.isVia ? kViaGrowth : 0;
  while (!segments.isEmpty()) {
    const uint32_t size = segments.nextLength() + growth;
    seal(lane, *peer, peer->destination, size, [&](uint8_t* target) {
      segments.take(target + growth);
      makeChanges(*peer, changes, target, size);
    });
  }
}

void Engine::fromHostPlain(Lane& lane, Segments& segments, const PacketFields& p) {
  Peer* peer = route(lane, p);
  if (peer == nullptr) {
    counters_.drop(Drop::kOutNoRoute, segments.count());
    return;
  }
  const Destination to = peer->followedDestination();
  while (!segments.isEmpty()) {
    seal(lane, *peer, to, segments.nextLength(), [&segments](uint8_t* target) { segments.take(target); });
  }
}

bool Engine::findChanges(Lane& lane, const Peer& peer, const uint8_t* packet, const PacketFields& p, uint32_t count, Changes& changes) {
  changes.masquerade = peer.hasMasquerade;
  changes.isSyn = (p.tcpFlags & kSynFlag) != 0;
  if (!tables_.via().isOn()) return true;
  switch (tables_.via().answers(packet, p, peer.id, lane.nowMs, changes.via)) {
    case Via::Answer::kNone:
      return true;
    case Via::Answer::kTranslate:
      changes.isVia = true;
      return true;
    case Via::Answer::kFragment:
      counters_.drop(Drop::kOutViaFragment, count);
      return false;
    case Via::Answer::kOptions:
      counters_.drop(Drop::kOutViaOptions, count);
      return false;
  }
  return true;
}

// One packet, whole and with good checksums; translated ones lie behind room for the longer header.
void Engine::makeChanges(const Peer& peer, const Changes& changes, uint8_t* packet, uint32_t length) const {
  if (changes.isVia) viaToV6(packet, length - kViaGrowth, changes.via);
  PacketFields p;
  if (!p.read(packet, length)) return;
  if (changes.masquerade) masqueradeOut(packet, p, peer.masquerade, tables_.ownAddresses());
  if (changes.isSyn) lowerMss(packet, p, mtu());
}

void Engine::answerServiceEcho(Lane& lane, Segments& segments, const PacketFields& p) {
  uint8_t* copy = lane.scratch.get();
  const uint32_t size = segments.take(copy);
  answerEcho(copy, p);
  toHost(lane, copy, size);
  lane.host.flush();  // before anybody else needs the scratch
}

// Every packet of a joined one counts.
bool Engine::carriesOwnDisco(const Segments& segments, const uint8_t* packet, const PacketFields& p) const {
  const OwnDisco& own = tables_.ownDisco();
  if (!own.isSet() || p.protocol != kProtocolUdp) return false;
  if (segments.count() == 1) return own.isIn(packet, p);
  for (uint32_t i = 0; i < segments.count(); i++) {
    const Segments::Payload part = segments.payload(i);
    if (part.length >= OwnDisco::kHeadBytes && own.isHead(part.bytes)) return true;
  }
  return false;
}

void Engine::sendPacket(Lane& lane, PeerId id, const uint8_t* packet, uint32_t length) {
  Peer* peer = tables_.peer(id);
  if (peer != nullptr) sealOwn(lane, *peer, packet, length);
}

void Engine::sealOwn(Lane& lane, Peer& peer, const uint8_t* packet, uint32_t length) {
  PacketFields p;
  const bool isPacket = length > 0 && p.read(packet, length);
  if (isPacket) tables_.filterFor(&peer).remember(p);
  seal(lane, peer, isPlain_ ? peer.followedDestination() : peer.destination, length, [&](uint8_t* target) {
    if (length > 0) memcpy(target, packet, length);
    if (isPacket && peer.hasMasquerade) masqueradeOut(target, p, peer.masquerade, tables_.ownAddresses());
  });
}

template <typename Fill>
void Engine::seal(Lane& lane, Peer& peer, const Destination& to, uint32_t length, Fill fill) {
  Keypair* keys = peer.current.load(std::memory_order_acquire);
  if (keys == nullptr || keys->isTooOld(lane.nowMs) || keys->sendCounter.load(std::memory_order_relaxed) >= kRejectAfterMessages) {
    fill(lane.scratch.get());
    up_.push({.kind = UpKind::kNoSession, .peer = peer.id, .bytes = lane.scratch.get(), .size = length});
    return;
  }
  up_.note(peer, length > 0 ? kSentAny | kSentData : kSentAny, lane.nowMs);
  const uint32_t padded = paddedLength(length);
  const uint32_t size = padded + kMinTransport;
  const uint32_t before = to.vni >= 0 ? kGeneveBytes : 0;
  uint8_t* room = to.hasUdp ? lane.out.reserve(to.udp, before + size) : nullptr;
  if (room == nullptr && !to.relay) {
    fill(lane.scratch.get());
    counters_.drop(Drop::kOutNoPath);
    return;
  }
  if (room != nullptr && before != 0) {
    putGeneveHeader(room, to.vni);
    room += before;
  }
  uint8_t* sealed = room != nullptr ? room : lane.scratch.get();
  fill(sealed + kHeaderBytes);
  memset(sealed + kHeaderBytes + length, 0, padded - length);
  const uint64_t counter = keys->sendCounter.fetch_add(1, std::memory_order_relaxed);
  uint8_t nonce[kNonceSize] = {};
  putLittle32(sealed, kTransportData);
  putLittle32(sealed + 4, keys->remoteIndex);
  putLittle32(sealed + 8, static_cast<uint32_t>(counter));
  putLittle32(sealed + 12, static_cast<uint32_t>(counter >> 32));
  memcpy(nonce + 4, sealed + 8, 8);
  if (!keys->aead->seal(nonce, sealed + kHeaderBytes, padded)) {
    counters_.fault(Fault::kSeal);
    if (room != nullptr) lane.out.cancel();  // plaintext must not leave
    return;
  }
  peer.txBytes.fetch_add(size, std::memory_order_relaxed);
  peer.txPackets.fetch_add(1, std::memory_order_relaxed);
  if (to.relay) up_.push({.kind = UpKind::kToRelay, .peer = peer.id, .bytes = sealed, .size = size});
}


void Engine::fromNetwork(Lane& lane, uint8_t* bytes, uint32_t size, const Address& from) {
  if (size < kMinDatagram) {
    counters_.drop(Drop::kInShort);
    return;
  }
  const uint32_t before = isGeneveWireGuard(bytes) ? kGeneveBytes : 0;
  if (!isTransport(bytes + before, size - before)) {
    up_.push({.kind = UpKind::kDatagram, .address = &from, .bytes = bytes, .size = size});
    return;
  }
  openAny(lane, bytes + before, size - before, &from);
}

// Which peer the relay names is not proof; the keypair is.
void Engine::fromRelay(Lane& lane, uint8_t* bytes, uint32_t size) {
  if (!isTransport(bytes, size)) {
    counters_.drop(Drop::kInUnknownIndex);
    return;
  }
  lane.heard = nullptr;
  openAny(lane, bytes, size, nullptr);
}

// Of a session that is over there may be a flood: a peer takes a while to notice. JavaScript has no use for it.
void Engine::openAny(Lane& lane, uint8_t* datagram, uint32_t size, const Address* from) {
  Keypair* keys = tables_.keypair(little32(datagram + 4));
  if (keys == nullptr) {
    counters_.drop(Drop::kInUnknownIndex);
    return;
  }
  open(lane, *keys, datagram, size, from);
}

void Engine::open(Lane& lane, Keypair& keys, uint8_t* datagram, uint32_t size, const Address* from) {
  Peer& peer = *keys.peer;
  if (keys.isTooOld(lane.nowMs)) {
    counters_.drop(Drop::kInKeypairExpired);
    return;
  }
  const uint32_t high = little32(datagram + 12);
  if (high > kMaxCounter >> 32) {
    counters_.drop(Drop::kInCounterRange);
    return;
  }
  uint8_t nonce[kNonceSize] = {};
  memcpy(nonce + 4, datagram + 8, 8);
  uint8_t* plain = datagram + kHeaderBytes;
  const uint32_t length = size - kMinTransport;
  if (!keys.aead->open(nonce, plain, length)) {
    counters_.drop(Drop::kInDecrypt);
    return;
  }
  {
    // Only what is authentic may move the window.
    std::lock_guard<std::mutex> guard(keys.windowMutex);
    const Replay replay = keys.window.take(static_cast<uint64_t>(high) << 32 | little32(datagram + 8));
    if (replay != Replay::kFresh) {
      counters_.drop(replay == Replay::kOld ? Drop::kInReplayOld : Drop::kInReplaySeen);
      return;
    }
  }
  if (peer.next.load(std::memory_order_relaxed) == &keys && Tables::confirm(peer, &keys)) {
    up_.push({.kind = UpKind::kConfirmed, .peer = peer.id, .localIndex = keys.localIndex});
  }
  if (lane.heard != &peer) {
    peer.heardFrom(from);
    lane.heard = from == nullptr ? nullptr : &peer;
    if (isPlain_ && from != nullptr) peer.follow(*from);
  }
  up_.note(peer, length > 0 ? kReceivedAny | kReceivedData : kReceivedAny, lane.nowMs);
  peer.rxBytes.fetch_add(size, std::memory_order_relaxed);
  peer.rxPackets.fetch_add(1, std::memory_order_relaxed);
  if (length > 0) fromPeer(lane, peer, plain, length);
}

// A decrypted packet: is it the peer's to send, ours to take, and where does it go?
void Engine::fromPeer(Lane& lane, Peer& peer, uint8_t* padded, uint32_t length) {
  PacketFields p;
  if (!p.read(padded, length)) {
    counters_.drop(Drop::kInIpHeader);
    return;
  }
  p.bytes = p.totalBytes;
  if (isPlain_) {
    if (tables_.route(p.v6, p.source) == &peer) {
      toHost(lane, padded, p.totalBytes);
    } else {
      counters_.drop(Drop::kInSource);
    }
    return;
  }
  // A router has thousands of prefixes, most peers two: the short list first.
  if (!(peer.allowed.size() <= 8 ? peer.owns(p.v6, p.source) : tables_.owns(peer, p.v6, p.source))) {
    counters_.drop(Drop::kInSource);
    return;
  }
  if (peer.hasMasquerade) masqueradeIn(padded, p, peer.masquerade, tables_.ownAddresses());
  const auto up = [&](UpKind kind) { up_.push({.kind = kind, .peer = peer.id, .bytes = padded, .size = p.totalBytes}); };
  if (p.protocol == kTsmp) {
    up(UpKind::kTsmpMessage);
    return;
  }
  if (tables_.isExpectedEcho(p, lane.nowMs)) {
    up(UpKind::kEchoReply);
    return;
  }
  if (tables_.ownDisco().isIn(padded, p)) {
    counters_.drop(Drop::kInOwnDisco);
    return;
  }
  const PacketFilter& filter = tables_.filterFor(&peer);
  const Verdict verdict = filter.inbound(p);
  if (verdict != Verdict::kAccept && !filter.isPeerApiSyn(p)) {
    counters_.drop(inboundDrop(verdict));
    reject(lane, peer, p, filter.shieldsUp());
    return;
  }
  if ((p.tcpFlags & kSynFlag) != 0) lowerMss(padded, p, mtu());
  if (tables_.isLocalService(p.v6, p.destination)) {
    up(UpKind::kLocal);
  } else if (tables_.via().isOn()) {
    toHostOrVia(lane, peer, padded, p);
  } else {
    toHost(lane, padded, p.totalBytes);
  }
}

void Engine::toHostOrVia(Lane& lane, const Peer& peer, uint8_t* packet, const PacketFields& p) {
  Via& via = tables_.via();
  Drop why = Drop::kInViaConflict;
  uint32_t start = 0;
  if (via.serves(p)) {
    if (!via.admit(packet, p, peer.id, peer.v4, lane.nowMs, why)) {
      counters_.drop(why);
      return;
    }
    start = viaToV4(packet, p, peer.v4);
  } else if (!via.admitPlain(p, lane.nowMs)) {
    counters_.drop(why);
    return;
  }
  toHost(lane, packet + start, p.totalBytes - start);
}

void Engine::toHost(Lane& lane, uint8_t* packet, uint32_t length) {
  if (!lane.host.exists()) {
    counters_.drop(Drop::kInNoInterface);
  } else if (length > 0) {
    lane.host.add(packet, length);
  }
}

// Tells the peer that its connection attempt was refused; only ever for IPv4 SYNs. [FLT-3.9]
void Engine::reject(Lane& lane, Peer& peer, const PacketFields& p, bool shieldsUp) {
  if (p.v6 || p.protocol != kProtocolTcp || !p.isSyn()) return;
  uint8_t packet[27] = {0x45, 0, 0, sizeof packet, 0, 0, 0, 0, 64, kTsmp};
  storeNumber32(packet + 12, p.destination.w[0]);
  storeNumber32(packet + 16, p.source.w[0]);
  checksumIpv4Header(packet, 20);
  packet[20] = '!';
  packet[21] = kProtocolTcp;
  packet[22] = shieldsUp ? 'S' : 'A';
  storeNumber16(packet + 23, p.sourcePort);
  storeNumber16(packet + 25, p.destinationPort);
  sealOwn(lane, peer, packet, sizeof packet);
}

}  // namespace pintail
