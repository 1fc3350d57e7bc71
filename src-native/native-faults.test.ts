/** What the interface and the cipher may do to the native path: counted, survived, and nothing of it leaves. The rest: `lab/faults-datapath`. */
import { spawnSync } from 'node:child_process'
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { expect, test } from 'vitest'
import { concat } from '../src-protocol/wire/bytes.ts'
import { ipBytes } from '../src-protocol/wire/ip.ts'
import { encodeTcpPacket, encodeUdpPacket, tcpFlag } from '../src-protocol/wire/packet.ts'
import { loadAddon } from './addon.ts'
import { NativePath } from './native.ts'

const found = loadAddon()
const flow = { src: ipBytes('100.64.0.1'), dst: ipBytes('100.64.0.2'), srcPort: 1, dstPort: 2 }
const udp = encodeUdpPacket(flow, new Uint8Array(4))
const tcp = encodeTcpPacket(flow, { flags: tcpFlag.ack, seq: 1, ack: 1, payload: new Uint8Array(3_000) })

/** Flags, type, header length, segment size, start and offset of the checksum: `addon/offload.h`. */
function header(flags: number, type: number, segmentBytes: number, start: number, offset: number): Uint8Array {
  const bytes = new Uint8Array(10)
  const view = new DataView(bytes.buffer)
  bytes.set([flags, type])
  view.setUint16(4, segmentBytes, true)
  view.setUint16(6, start, true)
  view.setUint16(8, offset, true)
  return bytes
}

const [NONE, TCP_V4, UFO, TCP_V6, UDP] = [0, 1, 3, 4, 5] as const
const plain = new Uint8Array(10)

test.skipIf(!found.ok).each<[string, Uint8Array]>([
  ['nothing at all', new Uint8Array(0)],
  ['a part of the header', plain.slice(0, 9)],
  ['a header and no packet', plain],
  ['a checksum beyond the packet', concat(header(1, NONE, 0, 20, 5_000), udp)],
  ['a checksum that begins beyond it', concat(header(1, NONE, 0, 5_000, 6), udp)],
  ['a type nobody has announced', concat(header(1, UFO, 1_000, 20, 6), udp)],
  ['the other family', concat(header(1, TCP_V6, 1_000, 20, 16), tcp)],
  ['segments of no bytes', concat(header(1, TCP_V4, 0, 20, 16), tcp)],
  ['segments larger than any packet', concat(header(1, TCP_V4, 65_535, 20, 16), tcp)],
  ['a transport header beyond the packet', concat(header(1, TCP_V4, 1_000, 5_000, 16), tcp)],
  ['a transport header inside the IP header', concat(header(1, UDP, 1_000, 8, 6), udp)],
  ['more than a packet can hold', concat(plain, new Uint8Array(65_536).fill(0x45, 0, 1))],
])('from the interface, %s: counted, and the next packet is looked at', (_what, bytes) => {
  if (!found.ok) return
  const native = found.addon.dataPath
  const options = { tunName: undefined, mtuBytes: 1280, udpPort: 0, fwmark: 0, onEvents: () => {}, aead: '' } as const
  const path = new NativePath(native, options, 2)
  for (let i = 1; i <= 3; i++) {
    native.feedHost(path.handle, bytes)
    expect(path.stats()).toMatchObject({ faults: { 'offload-header': i } })
    native.feedHost(path.handle, concat(plain, udp))
    expect(path.stats().drops).toEqual({ 'out-no-route': i })
  }
  native.close(path.handle)
})

/** The machine's own libipsec-mb, which leaves packets as they are while REFUSE is set. */
const MOODY = `
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
struct Job { uint64_t fields[16]; uint32_t status; };
using Function = Job* (*)(void*);
static Function nextOf, submitOf;
static Job* last;
template <typename T> static T real(const char* name, T) {
  static void* library = dlopen(getenv("REAL"), RTLD_NOW | RTLD_LOCAL);
  return reinterpret_cast<T>(dlsym(library, name));
}
extern "C" {
static Job* nextJob(void* manager) { return last = nextOf(manager); }
static Job* submit(void* manager) {
  if (getenv("REFUSE") == nullptr) return submitOf(manager);
  last->status = 4;
  return last;
}
unsigned imb_get_version() { return real(__func__, imb_get_version)(); }
void* alloc_mb_mgr(uint64_t flags) { return real(__func__, alloc_mb_mgr)(flags); }
void free_mb_mgr(void* manager) { real(__func__, free_mb_mgr)(manager); }
void init_mb_mgr_auto(void* manager, int* arch) {
  real(__func__, init_mb_mgr_auto)(manager, arch);
  uint8_t* at = static_cast<uint8_t*>(manager) + 64;
  memcpy(&nextOf, at, 8);
  memcpy(&submitOf, at + 8, 8);
  const Function own[2] = {nextJob, submit};
  memcpy(at, own, sizeof own);
}
int imb_get_errno(void* manager) { return real(__func__, imb_get_errno)(manager); }
}
`

const SEALING = `
import { loadAddon } from ${JSON.stringify(new URL('addon.ts', import.meta.url).href)}
import { NativePath } from ${JSON.stringify(new URL('native.ts', import.meta.url).href)}
const native = loadAddon().addon.dataPath
const events = []
const options = { tunName: undefined, mtuBytes: 1280, udpPort: 0, fwmark: 0, aead: 'ipsec-mb', onEvents: (batch) => events.push(...batch) }
const path = new NativePath(native, options, 1)
const key = new Uint8Array(32).fill(1)
path.setPeer({ peer: 1, allowedIps: ['100.64.0.2/32'], jailed: false })
path.addKeypair({ peer: 1, localIndex: 1, remoteIndex: 2, sendKey: key, receiveKey: key, slot: 'current' })
const send = (destination) => {
  path.setDestination(1, destination)
  path.sendPacket(1, new Uint8Array(100).fill(7))
  native.flush(path.handle)
  path.deliver()
  return [native.takeSent(path.handle).byteLength, events.splice(0).filter(({ kind }) => kind === 'toRelay').length]
}
const ways = [{ udp: '192.0.2.1:1', relay: false }, { udp: '192.0.2.1:1', relay: true, vni: 5 }, { relay: true }]
const all = () => [...ways.map(send), path.stats().faults.seal ?? 0]
const said = [all()]
process.env.REFUSE = '1'
said.push(all())
delete process.env.REFUSE
said.push(all())
console.log(JSON.stringify([path.stats().aead, path.stats().peers.get(1).txPackets, ...said]))
`

const installed = /\/\S*libIPSec_MB\S*/
const compiler = process.env.CXX ?? 'g++'
const canBeMoody =
  found.ok && found.addon.dataPath.hasBackend('ipsec-mb') && spawnSync(compiler, ['--version']).status === 0

test.skipIf(!canBeMoody)('a cipher that refuses: counted, nothing leaves, and the next packet does again', () => {
  const folder = mkdtempSync(join(tmpdir(), 'pt-moody-'))
  try {
    const real = installed.exec(readFileSync('/proc/self/maps', 'utf8'))![0]
    const library = join(folder, basename(real))
    writeFileSync(join(folder, 'moody.cpp'), MOODY)
    const built = spawnSync(compiler, ['-shared', '-fPIC', '-o', library, join(folder, 'moody.cpp'), '-ldl'])
    expect(built.stderr.toString()).toBe('')
    for (const name of ['libIPSec_MB.so.1', 'libIPSec_MB.so.2']) copyFileSync(library, join(folder, name))
    const env = { ...process.env, LD_LIBRARY_PATH: folder, REAL: real }
    const words = ['--input-type=module-typescript', '-e', SEALING]
    const { stdout, stderr } = spawnSync(process.execPath, words, { env, encoding: 'utf8' })
    expect(stderr).toBe('')
    const [address, sealed, wrapped] = [28 + 4, 112 + 32, 112 + 32 + 8]
    const passes = [
      [address + sealed, 0],
      [address + wrapped, 1],
      [0, 1],
    ]
    const nothing = [
      [0, 0],
      [0, 0],
      [0, 0],
    ]
    expect(JSON.parse(stdout)).toEqual(['ipsec-mb', 6, [...passes, 0], [...nothing, 3], [...passes, 3]])
  } finally {
    rmSync(folder, { recursive: true })
  }
})
