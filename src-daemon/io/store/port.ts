/**
 * Where the daemon keeps its one state document. Not what is in it (`engine/state-file.ts`).
 *
 * Promise: after `save` answered, the text survives a power cut; when `save` throws, the previous text is intact; a
 * document that cannot be read is an error and never looks like "no document yet", because that would make a second
 * identity out of one machine.
 */
export interface StateStore {
  /** undefined = there never was one. Throws {@link StateUnreadableError}. */
  load(): Promise<string | undefined>
  /** Saves run in the order they were asked for. */
  save(text: string): Promise<void>
  close(): Promise<void>
}

export class StateUnreadableError extends Error {
  override readonly name = 'StateUnreadableError'
}

/** Another daemon works on this folder. */
export class StateInUseError extends Error {
  override readonly name = 'StateInUseError'
}
