/**
 * The server's truth: users, pre-auth keys and nodes in memory, written to the store before a change counts. One change at
 * a time; readers never wait. Who is connected is not here (`control/presence.ts`), neither is who may see whom (`policy/`).
 */

import type { Hostinfo } from '../../src-contract/control/map.ts'
import type { MachineKeyText, NodeKeyText, PrefixText } from '../../src-contract/ids.ts'
import type { Store } from '../store/store.ts'
import { AddressPool } from './addresses.ts'
import { isTagged, type NodeRecord, type PreAuthKey, type RegisterMethod, type Tombstone, type User } from './model.ts'
import { isValidLabel, isValidTag, isValidUserName, sanitizeHostname, uniqueName } from './names.ts'
import { done, type Outcome, refused } from './outcome.ts'
import { judgeKey, keyRefusalText, newKeyText } from './preauth.ts'

export type Change =
  | { readonly kind: 'node-added'; readonly node: NodeRecord }
  | { readonly kind: 'node-changed'; readonly before: NodeRecord; readonly after: NodeRecord }
  | { readonly kind: 'node-removed'; readonly node: NodeRecord }

/** What a connection may change at any time; written in bulk, because it changes often and comes again by itself. */
export type VolatileFields = Partial<
  Pick<NodeRecord, 'discoKey' | 'hostinfo' | 'primaryRoutes' | 'endpoints' | 'homeDerp' | 'capVersion' | 'lastSeen'>
>

export interface Registration {
  readonly machineKey: MachineKeyText
  readonly nodeKey: NodeKeyText
  readonly owner: { readonly userId: number } | { readonly keyId: number }
  readonly method: RegisterMethod
  readonly hostinfo: Hostinfo
  readonly capVersion: number
}

export interface RegistryOptions {
  readonly v4: PrefixText
  readonly v6: PrefixText
  /** 0: a login lasts for ever. */
  readonly nodeExpiryMs: number
  readonly now: () => number
  /** A bulk write failed and will be tried again. */
  readonly onWriteProblem?: (error: unknown) => void
}

const WRITE_DELAY_MS = 500
const WRITE_RETRY_MS = 5000
const TOMBSTONE_MS = 90 * 86_400_000

export class Registry {
  readonly #store: Store
  readonly #options: RegistryOptions
  readonly #users = new Map<number, User>()
  readonly #keys = new Map<number, PreAuthKey>()
  readonly #nodes = new Map<number, NodeRecord>()
  readonly #byNodeKey = new Map<NodeKeyText, number>()
  readonly #byMachine = new Map<MachineKeyText, Set<number>>()
  readonly #byName = new Map<string, number>()
  readonly #tombstones = new Map<NodeKeyText, Tombstone>()
  readonly #listeners = new Set<(change: Change) => void>()
  readonly #dirty = new Set<number>()
  readonly #v4: AddressPool
  readonly #v6: AddressPool
  #last: { user: number; key: number; node: number }
  #turn: Promise<unknown> = Promise.resolve()
  #writeTimer: NodeJS.Timeout | undefined

  private constructor(store: Store, options: RegistryOptions, contents: Awaited<ReturnType<Store['load']>>) {
    this.#store = store
    this.#options = options
    for (const user of contents.users) this.#users.set(user.id, user)
    for (const key of contents.keys) this.#keys.set(key.id, key)
    for (const node of contents.nodes) this.#keep(node)
    for (const tombstone of contents.tombstones) this.#tombstones.set(tombstone.nodeKey, tombstone)
    this.#v4 = new AddressPool(
      options.v4,
      contents.nodes.map((node) => node.ipv4),
    )
    this.#v6 = new AddressPool(
      options.v6,
      contents.nodes.map((node) => node.ipv6),
    )
    this.#last = { ...contents.lastIds }
  }

  static async open(store: Store, options: RegistryOptions): Promise<Registry> {
    await store.deleteTombstonesBefore(options.now() - TOMBSTONE_MS)
    return new Registry(store, options, await store.load())
  }

  // ---- reading

  get users(): ReadonlyMap<number, User> {
    return this.#users
  }
  get keys(): ReadonlyMap<number, PreAuthKey> {
    return this.#keys
  }
  /** In ascending order of ids. */
  get nodes(): ReadonlyMap<number, NodeRecord> {
    return this.#nodes
  }
  userByName(name: string): User | undefined {
    return [...this.#users.values()].find((user) => user.name === name)
  }
  keyByPublicId(publicId: string): PreAuthKey | undefined {
    return [...this.#keys.values()].find((key) => key.publicId === publicId)
  }
  nodeByKey(nodeKey: NodeKeyText): NodeRecord | undefined {
    const id = this.#byNodeKey.get(nodeKey)
    return id === undefined ? undefined : this.#nodes.get(id)
  }
  /** Whether some node lives on this machine. */
  knowsMachine(machineKey: MachineKeyText): boolean {
    return this.#byMachine.has(machineKey)
  }
  tombstone(nodeKey: NodeKeyText): Tombstone | undefined {
    return this.#tombstones.get(nodeKey)
  }
  onChange(listener: (change: Change) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  // ---- users and keys

  createUser(wish: { name: string; displayName?: string; email?: string }): Promise<Outcome<User>> {
    return this.#exclusive(async () => {
      if (!isValidUserName(wish.name))
        return refused(
          'invalid',
          `"${wish.name}" is no user name: letters, digits and . _ + - (or a whole e-mail address)`,
        )
      if (this.userByName(wish.name)) return refused('exists', `the user ${wish.name} exists already`)
      const user: User = {
        id: this.#last.user + 1,
        name: wish.name,
        displayName: wish.displayName ?? '',
        email: wish.email ?? '',
        createdAt: this.#options.now(),
      }
      await this.#store.saveUser(user)
      this.#last.user = user.id
      this.#users.set(user.id, user)
      return done(user)
    })
  }

  destroyUser(id: number): Promise<Outcome<User>> {
    return this.#exclusive(async () => {
      const user = this.#users.get(id)
      if (user === undefined) return refused('not-found', `there is no user with id ${id}`)
      const count = [...this.#nodes.values()].filter((node) => node.userId === id).length
      if (count > 0)
        return refused(
          'in-use',
          `the user ${user.name} still owns ${count} node${count === 1 ? '' : 's'}; delete them first`,
        )
      await this.#store.deleteUser(id)
      this.#users.delete(id)
      for (const key of this.#keys.values()) if (key.userId === id) this.#keys.delete(key.id)
      return done(user)
    })
  }

  /** The whole key text is in the answer and nowhere else. */
  createKey(wish: {
    userId?: number
    tags: readonly string[]
    reusable: boolean
    ephemeral: boolean
    expiresAt: number | null
  }): Promise<Outcome<{ key: PreAuthKey; text: string }>> {
    return this.#exclusive(async () => {
      const badTag = wish.tags.find((tag) => !isValidTag(tag))
      if (badTag !== undefined)
        return refused('invalid', `"${badTag}" is no tag: tag: and then a letter, letters, digits and -`)
      if (wish.userId === undefined && wish.tags.length === 0)
        return refused('invalid', 'a key needs a user or at least one tag')
      if (wish.userId !== undefined && !this.#users.has(wish.userId))
        return refused('not-found', `there is no user with id ${wish.userId}`)
      if (wish.expiresAt !== null && wish.expiresAt <= this.#options.now())
        return refused('invalid', 'the expiry lies in the past')
      const { text, publicId, secretHash } = newKeyText()
      const key: PreAuthKey = {
        id: this.#last.key + 1,
        publicId,
        secretHash,
        userId: wish.userId ?? null,
        tags: [...wish.tags].sort(),
        reusable: wish.reusable,
        ephemeral: wish.ephemeral,
        used: false,
        createdAt: this.#options.now(),
        expiresAt: wish.expiresAt,
      }
      await this.#store.saveKey(key)
      this.#last.key = key.id
      this.#keys.set(key.id, key)
      return done({ key, text })
    })
  }

  expireKey(id: number): Promise<Outcome<PreAuthKey>> {
    return this.#exclusive(async () => {
      const key = this.#keys.get(id)
      if (key === undefined) return refused('not-found', `there is no pre-auth key with id ${id}`)
      const now = this.#options.now()
      const expired = { ...key, expiresAt: key.expiresAt === null ? now : Math.min(key.expiresAt, now) }
      await this.#store.saveKey(expired)
      this.#keys.set(id, expired)
      return done(expired)
    })
  }

  // ---- nodes

  /** A machine becomes a node, or the node it already is gets a new key, owner or life time. */
  register(wish: Registration): Promise<Outcome<NodeRecord>> {
    return this.#exclusive(async () => {
      const holder = this.nodeByKey(wish.nodeKey)
      if (holder !== undefined && holder.machineKey !== wish.machineKey)
        return refused('in-use', 'node key already in use by another machine')

      const claim = this.#claim(wish)
      if (!claim.ok) return claim
      const { userId, tags, ephemeral, key } = claim.value
      const now = this.#options.now()
      const expiresAt = userId === null || this.#options.nodeExpiryMs === 0 ? null : now + this.#options.nodeExpiryMs
      const login = {
        nodeKey: wish.nodeKey,
        userId,
        tags,
        authKeyId: key?.id ?? null,
        registerMethod: wish.method,
        ephemeral,
        hostinfo: wish.hostinfo,
        capVersion: wish.capVersion,
        expiresAt,
      }
      const existing =
        holder ??
        [...this.#nodes.values()].find(
          (node) =>
            node.machineKey === wish.machineKey && node.userId === userId && isTagged(node) === (userId === null),
        )
      const usedKey = key === undefined || key.used ? undefined : { ...key, used: true }
      if (existing !== undefined) {
        const change = { ...login, ...this.#nameFrom(existing, wish.hostinfo) }
        await this.#store.saveRegistration({ ...existing, ...change }, usedKey)
        if (usedKey !== undefined) this.#keys.set(usedKey.id, usedKey)
        return done(this.#apply(existing.id, change))
      }

      const ipv4 = this.#v4.take()
      const ipv6 = this.#v6.take()
      const node: NodeRecord = {
        id: this.#last.node + 1,
        machineKey: wish.machineKey,
        discoKey: null,
        givenName: uniqueName(sanitizeHostname(wish.hostinfo.Hostname ?? ''), (name) => this.#byName.has(name)),
        isRenamed: false,
        ipv4: ipv4 ?? '',
        ipv6: ipv6 ?? '',
        approvedRoutes: [],
        primaryRoutes: [],
        endpoints: [],
        homeDerp: 0,
        createdAt: now,
        lastSeen: null,
        ...login,
      }
      try {
        if (ipv4 === undefined || ipv6 === undefined)
          return refused('exhausted', 'this network has no free address left')
        await this.#store.saveRegistration(node, usedKey)
        this.#last.node = node.id
        if (usedKey !== undefined) this.#keys.set(usedKey.id, usedKey)
        this.#keep(node)
      } finally {
        if (!this.#nodes.has(node.id)) {
          if (ipv4 !== undefined) this.#v4.free(ipv4)
          if (ipv6 !== undefined) this.#v6.free(ipv6)
        }
      }
      this.#tell({ kind: 'node-added', node })
      return done(node)
    })
  }

  /** Applied at once, written soon. */
  update(id: number, fields: VolatileFields): NodeRecord | undefined {
    const node = this.#nodes.get(id)
    if (node === undefined) return undefined
    const names = fields.hostinfo === undefined ? {} : this.#nameFrom(node, fields.hostinfo)
    const after = this.#apply(id, { ...fields, ...names })
    this.#dirty.add(id)
    this.#writeTimer ??= setTimeout(() => void this.#writeDirty(), WRITE_DELAY_MS)
    return after
  }

  setExpiry(id: number, expiresAt: number | null): Promise<Outcome<NodeRecord>> {
    return this.#change(id, () => done({ expiresAt }))
  }

  approveRoutes(id: number, routes: readonly PrefixText[]): Promise<Outcome<NodeRecord>> {
    return this.#change(id, () => done({ approvedRoutes: [...new Set(routes)].sort() }))
  }

  rename(id: number, name: string): Promise<Outcome<NodeRecord>> {
    return this.#change(id, () => {
      if (!isValidLabel(name))
        return refused('invalid', `"${name}" is no node name: at most 63 lower-case letters, digits and -`)
      const holder = this.#byName.get(name)
      if (holder !== undefined && holder !== id) return refused('exists', `another node is named ${name}`)
      return done({ givenName: name, isRenamed: true })
    })
  }

  deleteNode(id: number): Promise<Outcome<NodeRecord>> {
    return this.#exclusive(async () => {
      const node = this.#nodes.get(id)
      if (node === undefined) return refused('not-found', `there is no node with id ${id}`)
      const tombstone: Tombstone = {
        nodeKey: node.nodeKey,
        machineKey: node.machineKey,
        node,
        deletedAt: this.#options.now(),
      }
      await this.#store.deleteNode(id, tombstone)
      this.#nodes.delete(id)
      this.#dirty.delete(id)
      this.#byNodeKey.delete(node.nodeKey)
      this.#byName.delete(node.givenName)
      const onMachine = this.#byMachine.get(node.machineKey)
      onMachine?.delete(id)
      if (onMachine?.size === 0) this.#byMachine.delete(node.machineKey)
      this.#v4.free(node.ipv4)
      this.#v6.free(node.ipv6)
      this.#tombstones.set(node.nodeKey, tombstone)
      this.#tell({ kind: 'node-removed', node })
      return done(node)
    })
  }

  async close(): Promise<void> {
    clearTimeout(this.#writeTimer)
    await this.#writeDirty()
    clearTimeout(this.#writeTimer)
    await this.#exclusive(() => this.#store.close())
  }

  // ---- inside

  /** Who the node will belong to; for a key also whether it still opens the door. */
  #claim(
    wish: Registration,
  ): Outcome<{ userId: number | null; tags: readonly string[]; ephemeral: boolean; key?: PreAuthKey }> {
    const requested = wish.hostinfo.RequestTags ?? []
    if ('userId' in wish.owner) {
      if (!this.#users.has(wish.owner.userId))
        return refused('not-found', `there is no user with id ${wish.owner.userId}`)
      if (requested.length > 0)
        return refused('invalid', `requested tags [${requested.join(' ')}] are invalid or not permitted`)
      return done({ userId: wish.owner.userId, tags: [], ephemeral: false })
    }
    const answer = judgeKey(this.#keys.get(wish.owner.keyId), this.#options.now())
    if (answer.kind !== 'valid') return refused('invalid', keyRefusalText[answer.kind])
    const { key } = answer
    const foreign = requested.filter((tag) => !key.tags.includes(tag))
    if (foreign.length > 0)
      return refused('invalid', `requested tags [${foreign.join(' ')}] are invalid or not permitted`)
    return done({ userId: key.tags.length > 0 ? null : key.userId, tags: key.tags, ephemeral: key.ephemeral, key })
  }

  /** The name follows the computer's own until an administrator chooses one. */
  #nameFrom(node: NodeRecord, hostinfo: Hostinfo): { givenName?: string } {
    if (node.isRenamed || hostinfo.Hostname === node.hostinfo.Hostname) return {}
    const wish = sanitizeHostname(hostinfo.Hostname ?? '')
    return { givenName: uniqueName(wish, (name) => (this.#byName.get(name) ?? node.id) !== node.id) }
  }

  #change(id: number, decide: (node: NodeRecord) => Outcome<Partial<NodeRecord>>): Promise<Outcome<NodeRecord>> {
    return this.#exclusive(async () => {
      const node = this.#nodes.get(id)
      if (node === undefined) return refused('not-found', `there is no node with id ${id}`)
      const decision = decide(node)
      if (!decision.ok) return decision
      await this.#store.saveNodes([{ ...node, ...decision.value }])
      return done(this.#apply(id, decision.value))
    })
  }

  /** Changes only these fields: others may have moved on while the store was writing. */
  #apply(id: number, fields: Partial<NodeRecord>): NodeRecord {
    const before = this.#nodes.get(id)!
    const after = { ...before, ...fields }
    if (before.nodeKey !== after.nodeKey) this.#byNodeKey.delete(before.nodeKey)
    if (before.givenName !== after.givenName) this.#byName.delete(before.givenName)
    this.#keep(after)
    this.#tell({ kind: 'node-changed', before, after })
    return after
  }

  #keep(node: NodeRecord): void {
    this.#nodes.set(node.id, node)
    this.#byNodeKey.set(node.nodeKey, node.id)
    this.#byName.set(node.givenName, node.id)
    this.#byMachine.set(node.machineKey, (this.#byMachine.get(node.machineKey) ?? new Set<number>()).add(node.id))
    this.#tombstones.delete(node.nodeKey)
  }

  #tell(change: Change): void {
    for (const listener of this.#listeners) listener(change)
  }

  #exclusive<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(work)
    this.#turn = result.catch(() => undefined) // the caller of `work` gets the failure; the next in line must not
    return result
  }

  async #writeDirty(): Promise<void> {
    this.#writeTimer = undefined
    if (this.#dirty.size === 0) return
    const ids = [...this.#dirty]
    this.#dirty.clear()
    try {
      await this.#exclusive(() => this.#store.saveNodes(ids.flatMap((id) => this.#nodes.get(id) ?? [])))
    } catch (error) {
      for (const id of ids) if (this.#nodes.has(id)) this.#dirty.add(id)
      this.#writeTimer ??= setTimeout(() => void this.#writeDirty(), WRITE_RETRY_MS)
      this.#options.onWriteProblem?.(error)
    }
  }
}
