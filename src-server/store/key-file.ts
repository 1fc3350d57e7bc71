/** Private keys of the server in files of their own: made once, never replaced by themselves. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { nodeCrypto } from '../../src-protocol/crypto/node-crypto.ts'
import { parsePrivateKey, privateKeyText } from '../../src-protocol/wire/keys.ts'

export function hasKeyFile(path: string): boolean {
  return existsSync(path)
}

/** A file that is there but cannot be read as a key is an error: a new key would lock every client out. */
export function keepPrivateKey(path: string): Uint8Array {
  if (!existsSync(path)) {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
    const made = nodeCrypto.newPrivateKey()
    writeFileSync(path, `${privateKeyText(made)}\n`, { mode: 0o600, flag: 'wx', flush: true })
    return made
  }
  const parsed = parsePrivateKey(readFileSync(path, 'utf8').trim())
  if (!parsed.ok) throw new Error(`${path} does not hold a private key (privkey: and 64 hexadecimal digits)`)
  return parsed.value
}
