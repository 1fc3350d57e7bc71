/** Certificates and their keys in a folder: `NAME.crt` for everybody, `NAME.key` for the daemon alone. */
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { errorCode } from '../log/log.ts'

export interface KeptPair {
  /** PEM. */
  readonly cert: string
  readonly key: string
}

export interface CertificateFolder {
  /** undefined = there is none. */
  load(name: string): Promise<KeptPair | undefined>
  save(name: string, pair: KeptPair): Promise<void>
}

export function certificateFolder(folder: string): CertificateFolder {
  const path = (name: string, end: string): string => join(folder, `${checked(name)}.${end}`)
  const put = async (to: string, text: string, mode: number): Promise<void> => {
    await writeFile(`${to}.new`, text, { mode, flush: true })
    await rename(`${to}.new`, to)
  }
  return {
    async load(name) {
      try {
        const [cert, key] = await Promise.all([
          readFile(path(name, 'crt'), 'utf8'),
          readFile(path(name, 'key'), 'utf8'),
        ])
        return { cert, key }
      } catch (error) {
        if (errorCode(error) === 'ENOENT') return undefined
        throw error
      }
    },
    async save(name, { cert, key }) {
      await mkdir(folder, { recursive: true, mode: 0o700 })
      // a key without its certificate is asked for again; a certificate without its key would look whole
      await put(path(name, 'key'), key, 0o600)
      await put(path(name, 'crt'), cert, 0o644)
    },
  }
}

/** Names come from a server and become file names. */
function checked(name: string): string {
  if (!/^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/.test(name) || name.includes('..'))
    throw new Error(`${JSON.stringify(name)} is no name`)
  return name
}
