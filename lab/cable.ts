/** A cable between two hosts that loses, delays, repeats and reorders as told, while everything runs. */
import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface, type Interface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { endProcess, type Host } from './host.ts'
import type { Impairment } from './impairment.ts'

const program = fileURLToPath(new URL('./cable-process.ts', import.meta.url))

export class Cable {
  readonly #child: ChildProcess
  readonly #lines: Interface

  private constructor(child: ChildProcess) {
    this.#child = child
    this.#lines = createInterface({ input: child.stdout! })
  }

  /** Plugs the cable in: both hosts get a new interface, up and without an address. */
  static async plug(
    a: { host: Host; device: string },
    b: { host: Host; device: string },
    options: { mtuBytes?: number; seed?: number } = {},
  ): Promise<Cable> {
    const ends = [a.host.name, a.device, b.host.name, b.device]
    const child = spawn(
      process.execPath,
      [program, ...ends, String(options.mtuBytes ?? 1500), String(options.seed ?? 1)],
      {
        stdio: ['pipe', 'pipe', 'inherit'],
      },
    )
    const cable = new Cable(child)
    await cable.#answer()
    return cable
  }

  /** Changes the line; members that are not named stay. */
  async set(change: Partial<Impairment>): Promise<void> {
    this.#child.stdin!.write(`${JSON.stringify(change)}\n`)
    await this.#answer()
  }

  async unplug(): Promise<void> {
    await endProcess(this.#child)
  }

  #answer(): Promise<void> {
    return new Promise((resolve, reject) => {
      const gone = (code: number | null) => reject(new Error(`the cable ended with ${code}`))
      this.#child.once('close', gone)
      this.#lines.once('line', () => {
        this.#child.off('close', gone)
        resolve()
      })
    })
  }
}
