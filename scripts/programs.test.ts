/** The programs a user starts: `bin/`, as package.json names them. */
import { execFile } from 'node:child_process'
import { accessSync, constants, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

const root = join(import.meta.dirname, '..')
const { bin } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { readonly bin: Record<string, string> }

test('each program of bin/ has a name to be started by', () => {
  const programs = readdirSync(join(root, 'bin')).filter((name) => name !== 'on-node-24.mjs')
  expect(Object.values(bin).toSorted()).toEqual(programs.map((name) => `bin/${name}`).toSorted())
})

test.each(Object.entries(bin))('%s says how it is used', async (name, path) => {
  accessSync(join(root, path), constants.X_OK)
  const { stdout, stderr } = await promisify(execFile)(process.execPath, [join(root, path), '--help'])
  expect(stdout).toMatch(new RegExp(`^Usage: ${name} `))
  expect(stdout).toMatch(/^(Examples|First steps):$/m)
  expect(stderr).toBe('')
})
