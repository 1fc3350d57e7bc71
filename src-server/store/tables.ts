/** The database as the query builder sees it. Migrations (`migrations.ts`) make it so. */
import type { Generated } from 'kysely'

export interface Tables {
  users: { id: Generated<number>; name: string; display_name: string; email: string; created_at: number }
  pre_auth_keys: {
    id: Generated<number>
    public_id: string
    secret_hash: string
    user_id: number | null
    tags: string
    reusable: number
    ephemeral: number
    used: number
    created_at: number
    expires_at: number | null
  }
  nodes: {
    id: Generated<number>
    machine_key: string
    node_key: string
    disco_key: string | null
    user_id: number | null
    tags: string
    auth_key_id: number | null
    register_method: string
    ephemeral: number
    given_name: string
    is_renamed: number
    ipv4: string
    ipv6: string
    hostinfo: string
    approved_routes: string
    primary_routes: string
    endpoints: string
    home_derp: number
    cap_version: number
    created_at: number
    expires_at: number | null
    last_seen: number | null
  }
  tombstones: { node_key: string; machine_key: string; node: string; deleted_at: number }
  sqlite_sequence: { name: string; seq: number }
}
