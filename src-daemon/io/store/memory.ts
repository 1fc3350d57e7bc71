/** State that lives as long as the process: tests, and `--state=mem:`. */
import type { StateStore } from './port.ts'

export class MemoryStore implements StateStore {
  text: string | undefined
  /** Tests: the next saves fail with this. */
  failure: Error | undefined
  saves = 0

  constructor(text?: string) {
    this.text = text
  }

  async load(): Promise<string | undefined> {
    return this.text
  }

  async save(text: string): Promise<void> {
    if (this.failure !== undefined) throw this.failure
    this.text = text
    this.saves++
  }

  async close(): Promise<void> {}
}
