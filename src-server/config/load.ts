/** Reads the config file; every complaint names the line, the key and what was expected there. */
import { readFileSync } from 'node:fs'
import { dirname, isAbsolute, join, resolve } from 'node:path'
import { type Document, isMap, isNode, isSeq, LineCounter, parseDocument } from 'yaml'
import type { z } from 'zod'
import { type Config, configSchema, derpRegion } from './schema.ts'

export class ConfigError extends Error {
  override readonly name = 'ConfigError'
}

type Parsed<T> = { value: T } | { problems: string[] }

/** Reads and checks; relative paths inside are taken from the file's own folder. Throws ConfigError with all problems. */
export function loadConfig(file: string): Config {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    throw new ConfigError(
      `cannot read the config file ${file}: ${(error as Error).message}\nWrite one with: pintail-control init --config ${file}`,
      { cause: error },
    )
  }
  const config = parseConfig(text, file)
  const base = dirname(resolve(file))
  const at = <T extends string | undefined>(path: T) =>
    (path === undefined || isAbsolute(path) ? path : join(base, path)) as T
  const loaded: Config = {
    ...config,
    state_dir: at(config.state_dir),
    unix_socket: at(config.unix_socket),
    database: { path: at(config.database.path) },
    noise: { private_key_path: at(config.noise.private_key_path) },
    tls: { cert_path: at(config.tls.cert_path), key_path: at(config.tls.key_path) },
    derp: {
      ...config.derp,
      paths: config.derp.paths.map(at),
      server: {
        ...config.derp.server,
        cert_path: at(config.derp.server.cert_path),
        key_path: at(config.derp.server.key_path),
      },
    },
  }
  const fromFiles = loaded.derp.paths.flatMap(loadRegions)
  return { ...loaded, derp: { ...loaded.derp, regions: [...loaded.derp.regions, ...fromFiles] } }
}

export function parseConfig(text: string, file = 'config'): Config {
  const parsed = parseYaml(text, configSchema, file)
  if ('problems' in parsed) throw new ConfigError(parsed.problems.join('\n'))
  return parsed.value
}

/** A file of relay regions: the value of `derp.regions`, at the top level under `regions`. */
function loadRegions(file: string) {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    throw new ConfigError(`derp.paths: cannot read ${file}: ${(error as Error).message}`, { cause: error })
  }
  const parsed = parseYaml(text, regionsFile, file)
  if ('problems' in parsed) throw new ConfigError(parsed.problems.join('\n'))
  return parsed.value
}

const regionsFile = derpRegion.array().min(1)

function parseYaml<S extends z.ZodType>(text: string, schema: S, file: string): Parsed<z.output<S>> {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: true })
  if (document.errors.length > 0)
    return {
      problems: document.errors.map(
        (error) => `${file}:${lines.linePos(error.pos[0]).line}: not valid YAML: ${error.message}`,
      ),
    }
  const result = schema.safeParse(document.toJS() ?? {})
  if (result.success) return { value: result.data }
  return { problems: result.error.issues.flatMap((issue) => explain(issue, document, lines, file)) }
}

function explain(issue: z.core.$ZodIssue, document: Document, lines: LineCounter, file: string): string[] {
  const paths = issue.code === 'unrecognized_keys' ? issue.keys.map((key) => [...issue.path, key]) : [issue.path]
  return paths.map((path) => {
    const line = lineOf(document, path, lines)
    const key = path.length === 0 ? 'the file' : path.map(keyText).join('.')
    const message = issue.code === 'unrecognized_keys' ? 'unknown key' : readable(issue)
    return `${file}${line === undefined ? '' : `:${line}`}: ${key}: ${message}`
  })
}

/** `dns.nameservers.split.".corp.example"`: keys that people choose may have dots of their own, or nothing in them. */
function keyText(key: PropertyKey): string {
  const text = String(key)
  return /^[\w-]+$/.test(text) ? text : JSON.stringify(text)
}

function readable(issue: z.core.$ZodIssue): string {
  // a key of a map is wrong: why, and not only that
  if (issue.code === 'invalid_key') return issue.issues.map(readable).join('; ')
  if (issue.code === 'invalid_type' && issue.message.endsWith('received undefined'))
    return `missing; expected ${issue.expected}`
  return issue.message.replace(/^Invalid input: |^Invalid option: /, '')
}

/** The line of the key itself, or of the nearest parent that exists. */
function lineOf(document: Document, path: readonly PropertyKey[], lines: LineCounter): number | undefined {
  for (let length = path.length; length > 0; length--) {
    const parent = length === 1 ? document.contents : document.getIn(path.slice(0, length - 1), true)
    const last = path[length - 1]
    if (isMap(parent)) {
      const pair = parent.items.find((item) => isNode(item.key) && String(item.key) === String(last))
      if (pair !== undefined && isNode(pair.key) && pair.key.range) return lines.linePos(pair.key.range[0]).line
    } else if (isSeq(parent) && typeof last === 'number') {
      const item = parent.items[last]
      if (isNode(item) && item.range) return lines.linePos(item.range[0]).line
    }
  }
  return undefined
}
