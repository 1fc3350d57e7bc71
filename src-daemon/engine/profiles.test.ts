import { describe, expect, test } from 'vitest'
import { defaultPrefs } from '../../src-contract/localapi/prefs.ts'
import { nodeCrypto } from '../../src-protocol/crypto/node-crypto.ts'
import { Secret } from '../../src-protocol/wire/keys.ts'
import { MemoryStore } from '../io/store/memory.ts'
import { Profiles } from './profiles.ts'
import { readState } from './state-file.ts'

const open = (store = new MemoryStore()) => Profiles.open(store, nodeCrypto)
const user = { ID: 2n ** 60n, LoginName: 'ada@', DisplayName: 'Ada' }

describe('profiles', () => {
  test('a draft becomes a profile at its login, and survives a restart with its key', async () => {
    const store = new MemoryStore()
    const profiles = await open(store)
    const key = new Secret(nodeCrypto.newPrivateKey())
    await profiles.updateCurrent({ nodeKey: key, prefs: { ...defaultPrefs(), Hostname: 'a' } })
    expect(profiles.current.id).toBe('')
    await profiles.noteLogin({ user })
    expect(profiles.current.id).toMatch(/^[0-9a-f]{4}$/)
    const again = await open(store)
    expect(again.current).toMatchObject({ id: profiles.current.id, user, prefs: { Hostname: 'a' } })
    expect(again.current.nodeKey?.expose()).toEqual(key.expose())
    expect(again.machineKey.expose()).toEqual(profiles.machineKey.expose())
    expect(again.backendLogId).toBe(profiles.backendLogId)
  })

  test('what was asked for and could not be saved did not happen', async () => {
    const store = new MemoryStore()
    const profiles = await open(store)
    await profiles.save()
    store.failure = new Error('ENOSPC')
    await expect(profiles.updateCurrent({ prefs: { ...defaultPrefs(), Hostname: 'a' } })).rejects.toThrow('ENOSPC')
    expect([profiles.current.prefs.Hostname, profiles.isUnsaved]).toEqual(['', false])
  })

  test('what has happened stays, and is saved later', async () => {
    const store = new MemoryStore()
    const profiles = await open(store)
    store.failure = new Error('ENOSPC')
    await expect(profiles.noteLogin({ user })).rejects.toThrow('ENOSPC')
    expect([profiles.current.user.LoginName, profiles.isUnsaved]).toEqual(['ada@', true])
    store.failure = undefined
    await profiles.save()
    expect((await open(store)).current.user.LoginName).toBe('ada@')
    expect(profiles.isUnsaved).toBe(false)
  })

  test('[PV-8] a blank profile keeps the operator of the one before, and nothing else', async () => {
    const profiles = await open()
    const prefs = { ...defaultPrefs(), OperatorUser: 'ada', Hostname: 'nas' }
    const blank = { ...defaultPrefs(), OperatorUser: 'ada' }
    const signIn = async () => {
      await profiles.updateCurrent({ prefs })
      await profiles.noteLogin({ user })
      return profiles.current.id
    }
    const first = await signIn()
    await profiles.switchToBlank()
    expect(profiles.current.prefs).toEqual(blank)
    await signIn()
    await profiles.noteLogout({ LoggedOut: true })
    expect(profiles.current.prefs).toEqual({ ...blank, LoggedOut: true })
    await profiles.switchTo(first)
    await profiles.delete(first)
    expect(profiles.current.prefs).toEqual(blank)
    await profiles.updateCurrent({ prefs: defaultPrefs() })
    await profiles.switchToBlank()
    expect(profiles.current.prefs).toEqual(defaultPrefs())
  })

  test('secrets do not print', async () => {
    const profiles = await open()
    await profiles.updateCurrent({ nodeKey: new Secret(nodeCrypto.newPrivateKey()) })
    expect(JSON.stringify(profiles.current)).toContain('[secret]')
  })
})

describe('the state document', () => {
  test('cut anywhere, it is an error', async () => {
    const store = new MemoryStore()
    const profiles = await open(store)
    await profiles.noteLogin({ user, nodeKey: new Secret(nodeCrypto.newPrivateKey()) })
    const text = (store.text ?? '').trimEnd()
    expect(readState(text).ok).toBe(true)
    for (let length = 0; length < text.length; length++) expect(readState(text.slice(0, length)).ok).toBe(false)
  })

  test('each part broken by itself is an error', async () => {
    const store = new MemoryStore()
    const profiles = await open(store)
    await profiles.noteLogin({ user, nodeKey: new Secret(nodeCrypto.newPrivateKey()) })
    const break_ = (change: (document: Record<string, unknown>) => void) => {
      const document = JSON.parse(store.text ?? '') as Record<string, unknown>
      change(document)
      return readState(JSON.stringify(document)).ok
    }
    expect(break_(() => {})).toBe(true)
    for (const name of ['version', 'machineKey', 'profiles', 'draft']) expect(break_((d) => delete d[name])).toBe(false)
    expect(break_((d) => Object.assign(d, { currentId: 'none' }))).toBe(false)
    expect(break_((d) => Object.assign(d, { version: 2 }))).toBe(false)
    const profile = (d: Record<string, unknown>) => (d.profiles as Record<string, unknown>[])[0] ?? {}
    expect(break_((d) => Object.assign(profile(d), { nodeKey: 'privkey:zz' }))).toBe(false)
    expect(break_((d) => Object.assign(profile(d), { prefs: { CorpDNS: 3 } }))).toBe(false)
  })
})
