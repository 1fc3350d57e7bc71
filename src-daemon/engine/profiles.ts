/**
 * The profiles and which one is current; every change is saved before it counts, so memory and disk never disagree
 * about who we are. Not what switching means for the network (`backend.ts`).
 */
import type { LoginProfile } from '../../src-contract/localapi/prefs.ts'
import { toHex } from '../../src-protocol/wire/bytes.ts'
import type { Crypto } from '../../src-protocol/wire/crypto.ts'
import { Secret } from '../../src-protocol/wire/keys.ts'
import { type StateStore, StateUnreadableError } from '../io/store/port.ts'
import { loginProfile, newProfile, type Profile } from './profile.ts'
import { type DaemonState, readState, writeState } from './state-file.ts'

export class Profiles {
  readonly #store: StateStore
  readonly #crypto: Crypto
  #state: DaemonState

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

  /** Makes sure that what we hold is on disk, before a server hears of our keys. */
  save(): Promise<void> {
    return this.#save(this.#state)
  }

  updateCurrent(change: Partial<Omit<Profile, 'id'>>): Promise<void> {
    const changed = { ...this.current, ...change }
    const state =
      changed.id === ''
        ? { ...this.#state, draft: changed }
        : { ...this.#state, profiles: new Map(this.#state.profiles).set(changed.id, changed) }
    return this.#save(state)
  }

  /** The draft signed in: it becomes a profile with an id. */
  async adoptDraft(change: Partial<Omit<Profile, 'id'>>): Promise<void> {
    if (this.current.id !== '') return this.updateCurrent(change)
    const id = this.#newId()
    const profile = { ...this.#state.draft, ...change, id }
    const profiles = new Map(this.#state.profiles).set(id, profile)
    await this.#save({ ...this.#state, profiles, currentId: id, draft: newProfile() })
  }

  async switchTo(id: string): Promise<'switched' | 'already-current' | 'not-found'> {
    if (id === this.current.id) return 'already-current'
    if (!this.#state.profiles.has(id)) return 'not-found'
    await this.#save({ ...this.#state, currentId: id })
    return 'switched'
  }

  async switchToBlank(): Promise<void> {
    await this.#save({ ...this.#state, currentId: '', draft: newProfile() })
  }

  /** Deleting the current one leaves a blank profile in its place. Answers whether it was the current one. */
  async delete(id: string): Promise<boolean> {
    const wasCurrent = this.current.id === id
    const profiles = new Map(this.#state.profiles)
    profiles.delete(id)
    const rest = { ...this.#state, profiles }
    await this.#save(wasCurrent ? { ...rest, currentId: '', draft: newProfile() } : rest)
    return wasCurrent
  }

  async #save(state: DaemonState): Promise<void> {
    const before = this.#state
    this.#state = state
    try {
      await this.#store.save(writeState(state))
    } catch (error) {
      if (this.#state === state) this.#state = before
      throw error
    }
  }

  #newId(): string {
    for (;;) {
      const id = toHex(this.#crypto.randomBytes(2))
      if (!this.#state.profiles.has(id)) return id
    }
  }
}
