// Every AEAD there is against every other: the same ciphertext, and none opens what was tampered with.
//
// Input: u8 length of the associated data · u8 where and how to tamper · key 32 · nonce 12 · associated data · plaintext.
#include "openssl.h"

using namespace pintail;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::openSsl();
  static const AeadBackend* const kBackends[] = {evpAead(), opensslPartsAead(), ipsecMbAead()};
  fuzz::Input in(data, size);
  const uint8_t moreSize = in.u8();
  const uint8_t tamper = in.u8();
  fuzz::Bytes key = in.bytes(kKeySize);
  fuzz::Bytes nonce = in.bytes(kNonceSize);
  key.resize(kKeySize);
  nonce.resize(kNonceSize);
  fuzz::Exact more(in.bytes(moreSize));
  fuzz::Bytes plain = in.bytes(in.left());
  // Few bytes stand for long packets: the kernels differ by length.
  if ((tamper & 1) != 0 && !plain.empty()) plain.resize(plain.size() * 13, plain.back());

  fuzz::Bytes expected;
  for (const AeadBackend* backend : kBackends) {
    if (backend == nullptr) continue;
    fuzz::Bytes room = plain;
    room.resize(plain.size() + kTagSize);
    fuzz::Exact sealed(room);
    CHECK(backend->sealWith(key.data(), nonce.data(), more.data(), more.size(), sealed.data(), plain.size()));
    const fuzz::Bytes answer(sealed.data(), sealed.data() + sealed.size());
    if (expected.empty()) expected = answer;
    CHECK(answer == expected);
    CHECK(backend->openWith(key.data(), nonce.data(), more.data(), more.size(), sealed.data(), plain.size()));
    CHECK(plain.empty() || memcmp(sealed.data(), plain.data(), plain.size()) == 0);

    fuzz::Exact forged(expected);
    forged.data()[(tamper >> 4) * forged.size() / 16] ^= static_cast<uint8_t>(1 << (tamper >> 1 & 7));
    CHECK(!backend->openWith(key.data(), nonce.data(), more.data(), more.size(), forged.data(), plain.size()));

    // The object of a keypair: both directions, no associated data.
    if (more.size() > 0 || key.size() != kKeySize) continue;
    const auto pair = backend->create(key.data(), key.data());
    fuzz::Exact datagram(room);
    CHECK(pair != nullptr && pair->seal(nonce.data(), datagram.data(), plain.size()));
    CHECK(memcmp(datagram.data(), expected.data(), expected.size()) == 0);
    CHECK(pair->open(nonce.data(), datagram.data(), plain.size()));
    CHECK(plain.empty() || memcmp(datagram.data(), plain.data(), plain.size()) == 0);
  }
  return 0;
}
