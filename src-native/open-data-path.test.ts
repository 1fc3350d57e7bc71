/** Which data path is opened, and with which cipher: asked for by knobs, or the best there is. */
import { describe, expect, test } from 'vitest'
import { type LoadedAddon, loadAddon } from './addon.ts'
import type { DataPathOptions } from './door.ts'
import type { AeadName } from './native-addon.ts'
import { chooseDataPath, dataPathKnobs, openDataPath } from './open-data-path.ts'
import { openPlainPath } from './open-plain-path.ts'

const found = loadAddon()
const absent: LoadedAddon = { ok: false, reason: 'it is not built', cause: undefined }
const options: DataPathOptions = { tunName: undefined, mtuBytes: 1280, udpPort: 0, fwmark: 0, onEvents: () => {} }
const has = (name: AeadName) => found.ok && found.addon.dataPath.hasBackend(name)
const none = { prefer: undefined, aead: undefined }

test('knobs are words of the environment; another word is an error that says which there are', () => {
  expect(dataPathKnobs({})).toEqual(none)
  expect(dataPathKnobs({ PINTAIL_DATAPATH: '', PINTAIL_AEAD: '' })).toEqual(none)
  expect(dataPathKnobs({ PINTAIL_DATAPATH: 'twin', PINTAIL_AEAD: 'openssl' })).toEqual({
    prefer: 'twin',
    aead: 'openssl',
  })
  expect(() => dataPathKnobs({ PINTAIL_DATAPATH: 'fast' })).toThrow('PINTAIL_DATAPATH=fast: it takes native or twin')
  expect(() => dataPathKnobs({ PINTAIL_AEAD: 'own' })).toThrow('PINTAIL_AEAD=own: it takes ipsec-mb or openssl')
})

describe('without the addon', () => {
  test('the twin, and why; unless the twin was asked for', () => {
    expect(chooseDataPath(absent, none)).toEqual({ whyNotNative: 'it is not built' })
    expect(chooseDataPath(absent, { ...none, prefer: 'twin' })).toEqual({ whyNotNative: undefined })
  })

  test('what was asked for and cannot be had is an error', () => {
    for (const knobs of [
      { ...none, prefer: 'native' },
      { ...none, aead: 'openssl' },
    ] as const) {
      expect(() => chooseDataPath(absent, knobs)).toThrow('no native data path: it is not built')
    }
  })

  test.skipIf(found.ok)('there is no interface, and the error names the way without one', async () => {
    await expect(openDataPath({ ...options, tunName: 'pintail9' }, none)).rejects.toThrow(
      /pintail9 needs the native addon: .*--tun=userspace-networking/s,
    )
  })
})

test.skipIf(found.ok)('without the addon packets move all the same, and the path says why it is slow', async () => {
  const path = await openDataPath(options, none)
  expect(path.stats()).toMatchObject({ backend: 'twin', aead: 'node:crypto' })
  expect(path.whyNotNative).toMatch(/./)
  await path.close()
})

test.skipIf(!found.ok)('the twin by name, also beside the addon: no complaint', async () => {
  const path = await openDataPath(options, { ...none, prefer: 'twin' })
  expect(path.stats().backend).toBe('twin')
  expect(path.whyNotNative).toBeUndefined()
  await expect(openDataPath(options, { prefer: 'twin', aead: 'openssl' })).rejects.toThrow('the twin was asked for')
  await path.close()
})

test.skipIf(!has('openssl')).each(['ipsec-mb', 'openssl'] as const)('%s by name, or an error', async (aead) => {
  if (!has(aead)) {
    await expect(openDataPath(options, { ...none, aead })).rejects.toThrow(`${aead} cannot be had`)
    return
  }
  const path = await openDataPath(options, { ...none, aead })
  expect(path.stats()).toMatchObject({ backend: 'native', whyNotFasterAead: undefined })
  expect(path.stats().aead.replace('-evp', '')).toBe(aead) // the OpenSSL of some Nodes hides its parts
  await path.close()
})

test.skipIf(!has('openssl'))('without a word the fastest, and if that is not libipsec-mb, why', async () => {
  const path = await openDataPath(options, none)
  const { aead, whyNotFasterAead } = path.stats()
  expect(path.whyNotNative).toBeUndefined()
  if (whyNotFasterAead === undefined) return path.close()
  expect([aead.replace('-evp', ''), has('ipsec-mb')]).toEqual(['openssl', false])
  await path.close()
})

test.skipIf(!has('openssl'))('[UAPI-4.14] the same knobs choose for a plain device', async () => {
  for (const [knobs, backend, aead] of [
    [none, 'native', /./],
    [{ ...none, aead: 'openssl' }, 'native', /^openssl/],
    [{ ...none, prefer: 'twin' }, 'twin', /./],
  ] as const) {
    const { path } = await openPlainPath(options, knobs)
    expect(path.stats()).toMatchObject({ backend, aead: expect.stringMatching(aead) })
    await path.close()
  }
})
