/**
 * The steps from an empty database to today's. A released step is never edited; a change is a new step at the end.
 * AUTOINCREMENT, so that the id of a deleted node never comes back as another node.
 */
import { type Kysely, sql } from 'kysely'
import type { Migration } from 'kysely/migration'

const first: Migration = {
  async up(db: Kysely<unknown>) {
    await sql`CREATE TABLE users (
      id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, display_name TEXT NOT NULL, email TEXT NOT NULL, created_at INTEGER NOT NULL
    ) STRICT`.execute(db)
    await sql`CREATE TABLE pre_auth_keys (
      id INTEGER PRIMARY KEY AUTOINCREMENT, public_id TEXT NOT NULL UNIQUE, secret_hash TEXT NOT NULL,
      user_id INTEGER REFERENCES users(id) ON DELETE CASCADE, tags TEXT NOT NULL, reusable INTEGER NOT NULL, ephemeral INTEGER NOT NULL,
      used INTEGER NOT NULL, created_at INTEGER NOT NULL, expires_at INTEGER
    ) STRICT`.execute(db)
    await sql`CREATE TABLE nodes (
      id INTEGER PRIMARY KEY AUTOINCREMENT, machine_key TEXT NOT NULL, node_key TEXT NOT NULL UNIQUE, disco_key TEXT,
      user_id INTEGER REFERENCES users(id), tags TEXT NOT NULL, auth_key_id INTEGER, register_method TEXT NOT NULL, ephemeral INTEGER NOT NULL,
      given_name TEXT NOT NULL UNIQUE, is_renamed INTEGER NOT NULL, ipv4 TEXT NOT NULL UNIQUE, ipv6 TEXT NOT NULL UNIQUE,
      hostinfo TEXT NOT NULL, endpoints TEXT NOT NULL, home_derp INTEGER NOT NULL, cap_version INTEGER NOT NULL,
      created_at INTEGER NOT NULL, expires_at INTEGER, last_seen INTEGER
    ) STRICT`.execute(db)
    await sql`CREATE INDEX nodes_machine_key ON nodes (machine_key)`.execute(db)
    await sql`CREATE TABLE tombstones (
      node_key TEXT PRIMARY KEY, machine_key TEXT NOT NULL, node TEXT NOT NULL, deleted_at INTEGER NOT NULL
    ) STRICT`.execute(db)
  },
}

const approvedRoutes: Migration = {
  async up(db: Kysely<unknown>) {
    await sql`ALTER TABLE nodes ADD COLUMN approved_routes TEXT NOT NULL DEFAULT '[]'`.execute(db)
  },
}

const primaryRoutes: Migration = {
  async up(db: Kysely<unknown>) {
    await sql`ALTER TABLE nodes ADD COLUMN primary_routes TEXT NOT NULL DEFAULT '[]'`.execute(db)
  },
}

export const migrations: { readonly [name: string]: Migration } = {
  '0001-first': first,
  '0002-approved-routes': approvedRoutes,
  '0003-primary-routes': primaryRoutes,
}
