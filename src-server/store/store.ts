/**
 * Users, keys and nodes on disk. The registry holds the truth in memory and is loaded from here once; each change is
 * written here before it counts, except addresses and the like, which are written in bulk (`saveNodes`).
 */
import type { Insertable, Kysely, Selectable } from 'kysely'
import type { DiscoKeyText, IpPort, MachineKeyText, NodeKeyText, PrefixText } from '../../src-contract/ids.ts'
import type { NodeRecord, PreAuthKey, RegisterMethod, Tombstone, User } from '../registry/model.ts'
import type { Tables } from './tables.ts'

export interface Contents {
  readonly users: User[]
  readonly keys: PreAuthKey[]
  readonly nodes: NodeRecord[]
  readonly tombstones: Tombstone[]
  /** The highest ids ever given, also to what is gone. */
  readonly lastIds: { readonly user: number; readonly key: number; readonly node: number }
}

export class Store {
  readonly #db: Kysely<Tables>

  constructor(db: Kysely<Tables>) {
    this.#db = db
  }

  async load(): Promise<Contents> {
    const sequence = new Map(
      (await this.#db.selectFrom('sqlite_sequence').selectAll().execute()).map((row) => [row.name, row.seq]),
    )
    return {
      users: (await this.#db.selectFrom('users').selectAll().execute()).map(userOf),
      keys: (await this.#db.selectFrom('pre_auth_keys').selectAll().execute()).map(keyOf),
      nodes: (await this.#db.selectFrom('nodes').selectAll().orderBy('id').execute()).map(nodeOf),
      tombstones: (await this.#db.selectFrom('tombstones').selectAll().execute()).map((row) => ({
        nodeKey: row.node_key as NodeKeyText,
        machineKey: row.machine_key as MachineKeyText,
        // written by whichever version was there at the time
        node: { ...JSON.parse(row.node), approvedRoutes: [], primaryRoutes: [] } as NodeRecord,
        deletedAt: row.deleted_at,
      })),
      lastIds: {
        user: sequence.get('users') ?? 0,
        key: sequence.get('pre_auth_keys') ?? 0,
        node: sequence.get('nodes') ?? 0,
      },
    }
  }

  async saveUser(user: User): Promise<void> {
    const row = {
      id: user.id,
      name: user.name,
      display_name: user.displayName,
      email: user.email,
      created_at: user.createdAt,
    }
    await this.#db
      .insertInto('users')
      .values(row)
      .onConflict((c) => c.column('id').doUpdateSet(row))
      .execute()
  }

  async deleteUser(id: number): Promise<void> {
    await this.#db.deleteFrom('users').where('id', '=', id).execute()
  }

  async saveKey(key: PreAuthKey): Promise<void> {
    await insertKey(this.#db, key)
  }

  /** A registration: the node and the key that it used up, both or neither. */
  async saveRegistration(node: NodeRecord, key: PreAuthKey | undefined): Promise<void> {
    await this.#db.transaction().execute(async (transaction) => {
      await insertNode(transaction, node)
      if (key !== undefined) await insertKey(transaction, key)
      await transaction.deleteFrom('tombstones').where('node_key', '=', node.nodeKey).execute()
    })
  }

  async saveNodes(nodes: readonly NodeRecord[]): Promise<void> {
    await this.#db.transaction().execute(async (transaction) => {
      for (const node of nodes) await insertNode(transaction, node)
    })
  }

  async deleteNode(id: number, tombstone: Tombstone): Promise<void> {
    await this.#db.transaction().execute(async (transaction) => {
      await transaction.deleteFrom('nodes').where('id', '=', id).execute()
      const row = {
        node_key: tombstone.nodeKey,
        machine_key: tombstone.machineKey,
        node: JSON.stringify(tombstone.node),
        deleted_at: tombstone.deletedAt,
      }
      await transaction
        .insertInto('tombstones')
        .values(row)
        .onConflict((c) => c.column('node_key').doUpdateSet(row))
        .execute()
    })
  }

  async deleteTombstonesBefore(deletedAt: number): Promise<void> {
    await this.#db.deleteFrom('tombstones').where('deleted_at', '<', deletedAt).execute()
  }

  async close(): Promise<void> {
    await this.#db.destroy()
  }
}

async function insertKey(db: Kysely<Tables>, key: PreAuthKey): Promise<void> {
  const row: Insertable<Tables['pre_auth_keys']> = {
    id: key.id,
    public_id: key.publicId,
    secret_hash: key.secretHash,
    user_id: key.userId,
    tags: JSON.stringify(key.tags),
    reusable: Number(key.reusable),
    ephemeral: Number(key.ephemeral),
    used: Number(key.used),
    created_at: key.createdAt,
    expires_at: key.expiresAt,
  }
  await db
    .insertInto('pre_auth_keys')
    .values(row)
    .onConflict((c) => c.column('id').doUpdateSet(row))
    .execute()
}

async function insertNode(db: Kysely<Tables>, node: NodeRecord): Promise<void> {
  const row: Insertable<Tables['nodes']> = {
    id: node.id,
    machine_key: node.machineKey,
    node_key: node.nodeKey,
    disco_key: node.discoKey,
    user_id: node.userId,
    tags: JSON.stringify(node.tags),
    auth_key_id: node.authKeyId,
    register_method: node.registerMethod,
    ephemeral: Number(node.ephemeral),
    given_name: node.givenName,
    is_renamed: Number(node.isRenamed),
    ipv4: node.ipv4,
    ipv6: node.ipv6,
    hostinfo: JSON.stringify(node.hostinfo),
    approved_routes: JSON.stringify(node.approvedRoutes),
    primary_routes: JSON.stringify(node.primaryRoutes),
    endpoints: JSON.stringify(node.endpoints),
    home_derp: node.homeDerp,
    cap_version: node.capVersion,
    created_at: node.createdAt,
    expires_at: node.expiresAt,
    last_seen: node.lastSeen,
  }
  await db
    .insertInto('nodes')
    .values(row)
    .onConflict((c) => c.column('id').doUpdateSet(row))
    .execute()
}

function userOf(row: Selectable<Tables['users']>): User {
  return { id: row.id, name: row.name, displayName: row.display_name, email: row.email, createdAt: row.created_at }
}

function keyOf(row: Selectable<Tables['pre_auth_keys']>): PreAuthKey {
  return {
    id: row.id,
    publicId: row.public_id,
    secretHash: row.secret_hash,
    userId: row.user_id,
    tags: JSON.parse(row.tags) as string[],
    reusable: row.reusable === 1,
    ephemeral: row.ephemeral === 1,
    used: row.used === 1,
    createdAt: row.created_at,
    expiresAt: row.expires_at,
  }
}

function nodeOf(row: Selectable<Tables['nodes']>): NodeRecord {
  return {
    id: row.id,
    machineKey: row.machine_key as MachineKeyText,
    nodeKey: row.node_key as NodeKeyText,
    discoKey: row.disco_key as DiscoKeyText | null,
    userId: row.user_id,
    tags: JSON.parse(row.tags) as string[],
    authKeyId: row.auth_key_id,
    registerMethod: row.register_method as RegisterMethod,
    ephemeral: row.ephemeral === 1,
    givenName: row.given_name,
    isRenamed: row.is_renamed === 1,
    ipv4: row.ipv4,
    ipv6: row.ipv6,
    hostinfo: JSON.parse(row.hostinfo) as NodeRecord['hostinfo'],
    approvedRoutes: JSON.parse(row.approved_routes) as PrefixText[],
    primaryRoutes: JSON.parse(row.primary_routes) as PrefixText[],
    endpoints: JSON.parse(row.endpoints) as IpPort[],
    homeDerp: row.home_derp,
    capVersion: row.cap_version,
    createdAt: row.created_at,
    expiresAt: row.expires_at,
    lastSeen: row.last_seen,
  }
}
