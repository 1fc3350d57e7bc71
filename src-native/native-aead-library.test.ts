/** What becomes of a libipsec-mb that is missing, unknown, broken or wrong: never used, and the reason is told. */
import { spawnSync } from 'node:child_process'
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { loadAddon } from './addon.ts'

/** A library with libipsec-mb's name, whose fault is chosen by the environment. */
const STUB = `
#include <cstdint>
#include <cstdlib>
#include <cstring>
extern "C" {
struct Job { uint64_t fields[16]; uint32_t status; uint32_t rest[50]; };
static Job job;
static bool is(const char* fault) { const char* wanted = getenv("FAULT"); return wanted != nullptr && strcmp(wanted, fault) == 0; }
static Job* nextJob(void*) { return &job; }
static Job* submit(void*) { job.status = 3; return &job; }
unsigned imb_get_version() { return is("version") ? 0x7010b : 0x10300; }
void* alloc_mb_mgr(uint64_t) { return is("memory") ? nullptr : calloc(1, 4096); }
void free_mb_mgr(void* manager) { free(manager); }
void init_mb_mgr_auto(void* manager, int* arch) {
  *arch = is("old-processor") ? 2 : 5;
  void* functions[2] = {reinterpret_cast<void*>(nextJob), reinterpret_cast<void*>(submit)};
  if (is("layout")) functions[1] = reinterpret_cast<void*>(malloc);
  if (is("empty")) functions[0] = nullptr;
  memcpy(static_cast<uint8_t*>(manager) + 64, functions, sizeof functions);
}
int imb_get_errno(void*) { return is("self-test") ? 2057 : 0; }
}
`

const QUESTION = `
import { loadAddon } from ${JSON.stringify(new URL('addon.ts', import.meta.url).href)}
const found = loadAddon()
const { dataPath } = found.addon
const sealed = dataPath.aeadSeal('openssl', new Uint8Array(32), new Uint8Array(12), new Uint8Array(0), new Uint8Array(0))
console.log(JSON.stringify([dataPath.aeadProblem() ?? 'none', dataPath.hasBackend('ipsec-mb'), sealed.byteLength]))
`

const folder = mkdtempSync(join(tmpdir(), 'pt-aead-'))
const compiler = process.env.CXX ?? 'g++'
const canRun =
  loadAddon().ok && process.arch === 'x64' && spawnSync(compiler, ['--version'], { stdio: 'ignore' }).status === 0

beforeAll(() => {
  if (!canRun) return
  const [source, library] = [join(folder, 'stub.cpp'), join(folder, 'libIPSec_MB.so.1')]
  writeFileSync(source, STUB)
  const built = spawnSync(compiler, ['-shared', '-fPIC', '-o', library, source], { encoding: 'utf8' })
  expect(built.stderr).toBe('')
  copyFileSync(library, join(folder, 'libIPSec_MB.so.2'))
}, 60_000)
afterAll(() => rmSync(folder, { recursive: true, force: true }))

function ask(fault: string): unknown {
  const env = { ...process.env, LD_LIBRARY_PATH: folder, FAULT: fault }
  const child = spawnSync(process.execPath, ['--input-type=module-typescript', '-e', QUESTION], {
    env,
    encoding: 'utf8',
  })
  return child.status === 0 ? JSON.parse(child.stdout) : `${child.signal ?? child.status}: ${child.stderr}`
}

const OLD_OR_BROKEN = 'it has no safe kernels for this processor, or failed its own tests'
const OTHER_LAYOUT = 'its managers look different from those we know'

test.skipIf(!canRun).each([
  ['version', 'version 7.1.11 is not one we know'],
  ['memory', OLD_OR_BROKEN],
  ['old-processor', OLD_OR_BROKEN],
  ['self-test', OLD_OR_BROKEN],
  ['layout', OTHER_LAYOUT],
  ['empty', OTHER_LAYOUT],
  ['results', 'it disagrees with OpenSSL'],
])('a library with another %s: %s', (fault, problem) => {
  expect(ask(fault)).toEqual([problem, false, 16])
})

// Last: it replaces the library by what no loader takes.
test.skipIf(!canRun)('no library', () => {
  for (const name of ['libIPSec_MB.so.1', 'libIPSec_MB.so.2']) writeFileSync(join(folder, name), '')
  expect(ask('none')).toEqual(["not installed (Debian's package is libipsec-mb1)", false, 16])
})
