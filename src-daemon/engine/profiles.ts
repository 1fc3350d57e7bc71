/**
 * The profiles and which one is current. What somebody asks for is saved before it counts; what has happened at a
 * server counts at once and is saved as soon as the disk allows. Callers change one thing at a time. Not what switching
 * means for the network (`backend.ts`).
 */
import type { LoginProfile, Prefs } from '../../src-contract/localapi/prefs.ts'
import { toHex } from '../../src-protocol/wire/bytes.ts'
import type { Crypto } from '../../src-protocol/wire/crypto.ts'
import { Secret } from '../../src-protocol/wire/keys.ts'
import { type StateStore, StateUnreadableError } from '../io/store/port.ts'
import { loginProfile, newProfile, type Profile } from './profile.ts'
import { type DaemonState, readState, writeState } from './state-file.ts'

export type ProfileChange = Partial<Omit<Profile, 'id'>>

export class Profiles {
  readonly #store: StateStore
  readonly #crypto: Crypto
  #state: DaemonState
  /** Memory is ahead of the disk; `save` until it is not. */
  #isUnsaved = false

  private constructor(store: StateStore, crypto: Crypto, state: DaemonState) {
    this.#store = store
    this.#crypto = crypto
    this.#state = state
  }

  /** Throws StateUnreadableError rather than making a second identity. */
  static async open(store: StateStore, crypto: Crypto): Promise<Profiles> {
    const text = await store.load()
    if (text === undefined) {
      const state: DaemonState = {
        machineKey: new Secret(crypto.newPrivateKey()),
        backendLogId: toHex(crypto.randomBytes(32)),
        currentId: '',
        profiles: new Map(),
        draft: newProfile(),
      }
      return new Profiles(store, crypto, state)
    }
    const read = readState(text)
    if (!read.ok) throw new StateUnreadableError(`the state file cannot be used: ${read.message}`)
    return new Profiles(store, crypto, read.state)
  }

  get machineKey(): Secret {
    return this.#state.machineKey
  }

  get backendLogId(): string {
    return this.#state.backendLogId
  }

  get current(): Profile {
    return this.#state.profiles.get(this.#state.currentId) ?? this.#state.draft
  }

  find(id: string): Profile | undefined {
    return this.#state.profiles.get(id)
  }

  list(): LoginProfile[] {
    return [...this.#state.profiles.values()].map(loginProfile).sort((a, b) => (a.ID < b.ID ? -1 : 1))
  }

  otherNames(): string[] {
    const current = this.current.id
    return this.list()
      .filter((profile) => profile.ID !== current && profile.Name !== '')
      .map((profile) => profile.Name)
  }

  get isUnsaved(): boolean {
    return this.#isUnsaved
  }

  /** Makes sure that what we hold is on disk, before a server hears of our keys. */
  async save(): Promise<void> {
    await this.#store.save(writeState(this.#state))
    this.#isUnsaved = false
  }

  /** What somebody asked for: done and saved, or undone and thrown. */
  updateCurrent(change: ProfileChange): Promise<void> {
    return this.#replace(this.#withCurrent(change))
  }

  /** What has happened, whether the disk likes it or not. */
  async noteCurrent(change: ProfileChange): Promise<void> {
    this.#state = this.#withCurrent(change)
    this.#isUnsaved = true
    await this.save()
  }

  /** The draft signed in: it becomes a profile with an id. As {@link noteCurrent}. */
  async noteLogin(change: ProfileChange): Promise<void> {
    if (this.current.id !== '') return this.noteCurrent(change)
    const id = this.#newId()
    const profile = { ...this.#state.draft, ...change, id }
    const profiles = new Map(this.#state.profiles).set(id, profile)
    this.#state = { ...this.#state, profiles, currentId: id, draft: newProfile() }
    this.#isUnsaved = true
    await this.save()
  }

  /** The current login is over: it is gone, and a blank one with these prefs takes its place. As {@link noteCurrent}. */
  async noteLogout(prefs: Partial<Prefs>): Promise<void> {
    const profiles = new Map(this.#state.profiles)
    profiles.delete(this.#state.currentId)
    this.#state = { ...this.#state, profiles, currentId: '', draft: this.#blank(prefs) }
    this.#isUnsaved = true
    await this.save()
  }

  async switchTo(id: string): Promise<'switched' | 'already-current' | 'not-found'> {
    if (id === this.current.id) return 'already-current'
    if (!this.#state.profiles.has(id)) return 'not-found'
    await this.#replace({ ...this.#state, currentId: id })
    return 'switched'
  }

  async switchToBlank(): Promise<void> {
    await this.#replace({ ...this.#state, currentId: '', draft: this.#blank() })
  }

  /** Deleting the current one leaves a blank profile in its place. Answers whether it was the current one. */
  async delete(id: string): Promise<boolean> {
    const wasCurrent = this.current.id === id
    const profiles = new Map(this.#state.profiles)
    profiles.delete(id)
    const rest = { ...this.#state, profiles }
    await this.#replace(wasCurrent ? { ...rest, currentId: '', draft: this.#blank() } : rest)
    return wasCurrent
  }

  /** In the place of the current profile. Its operator stays, or he could not even sign in to it. [PV-8] */
  #blank(prefs: Partial<Prefs> = {}): Profile {
    const { OperatorUser } = this.current.prefs
    const kept = OperatorUser === undefined ? {} : { OperatorUser }
    const profile = newProfile()
    return { ...profile, prefs: { ...profile.prefs, ...kept, ...prefs } }
  }

  #withCurrent(change: ProfileChange): DaemonState {
    const changed = { ...this.current, ...change }
    return changed.id === ''
      ? { ...this.#state, draft: changed }
      : { ...this.#state, profiles: new Map(this.#state.profiles).set(changed.id, changed) }
  }

  async #replace(state: DaemonState): Promise<void> {
    await this.#store.save(writeState(state))
    this.#state = state
    this.#isUnsaved = false
  }

  #newId(): string {
    for (;;) {
      const id = toHex(this.#crypto.randomBytes(2))
      if (!this.#state.profiles.has(id)) return id
    }
  }
}
