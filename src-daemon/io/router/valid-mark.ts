/** The kernel setting that lets reverse path filters look at marks. Not there or read-only in some containers. */
import { readFile, writeFile } from 'node:fs/promises'

const PATH = '/proc/sys/net/ipv4/conf/all/src_valid_mark'

export async function readValidMark(): Promise<string> {
  return (await readFile(PATH, 'utf8').catch(() => '')).trim()
}

export async function writeValidMark(value: '0' | '1'): Promise<void> {
  await writeFile(PATH, value).catch(() => {
    // Then strict reverse path filters stay in the way, which `host-advice.ts` says.
  })
}
