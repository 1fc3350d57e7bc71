/**
 * A folder into which files are dropped: what waits in it, and files that grow in it until they are whole. Who may drop
 * is not its affair (`engine/taildrop`). [docs/rules/taildrop.md TD-3 … TD-6]
 */
import type { Readable } from 'node:stream'
import type { Block } from '../../../src-protocol/machines/taildrop/block-hashes.ts'

export interface WaitingFile {
  readonly name: string
  readonly size: number
}

export interface Drop {
  /** Already looked at: `parseFileName`. */
  readonly name: string
  /** The sending peer's stable id. */
  readonly sender: string
  /** Where this body goes on in what is there. */
  readonly offset: number
  /** Of the body; undefined = nobody knows. */
  readonly length: number | undefined
  readonly body: Readable
  /** How much of the file is here. */
  readonly onProgress: (bytes: number) => void
}

export type DropResult =
  /** `name` as it is called now; the same bytes may have been here already. */
  | { readonly kind: 'done'; readonly name: string; readonly bytes: number }
  /** There is less than the sender believes. */
  | { readonly kind: 'beyond-end'; readonly bytes: number }
  | { readonly kind: 'no-space' }
  /** Broke off; what came stays for the next try. */
  | { readonly kind: 'short'; readonly bytes: number }
  /** The name and all its numbers are taken. */
  | { readonly kind: 'no-name-left' }
  | { readonly kind: 'failed'; readonly reason: string }

export interface DropFolder {
  /** By name; what cannot be asked for is left out. */
  list(): Promise<WaitingFile[]>
  /** undefined: there is none, or it is no plain file. */
  read(name: string): Promise<{ readonly size: number; readonly body: Readable } | undefined>
  /** Whether there was one. */
  remove(name: string): Promise<boolean>
  /** Names that this sender has begun. */
  begun(sender: string): Promise<string[]>
  /** What is there of a file that this sender has begun. */
  blocks(name: string, sender: string): AsyncIterable<Block>
  drop(drop: Drop): Promise<DropResult>
  /** Deletes parts that nobody has gone on with for so long. */
  sweep(olderThanMs: number): Promise<void>
}
