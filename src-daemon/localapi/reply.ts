/** What a handler answers. The three styles of errors are those of a stock daemon. [docs/rules/localapi.md LA-2] */
import type { ServerResponse } from 'node:http'

export type Reply =
  | {
      readonly kind: 'json'
      readonly status: number
      readonly value: unknown
      readonly indent?: string
      readonly headers?: ReplyHeaders
    }
  | { readonly kind: 'text'; readonly status: number; readonly text: string }
  | { readonly kind: 'empty'; readonly status: number }
  /** The handler owns the response from here on and ends it. */
  | { readonly kind: 'stream'; readonly run: (response: ServerResponse) => void }

export type ReplyHeaders = { readonly [name: string]: string }

export const json = (value: unknown, headers?: ReplyHeaders): Reply => ({
  kind: 'json',
  status: 200,
  value,
  ...(headers === undefined ? {} : { headers }),
})
export const indentedJson = (value: unknown): Reply => ({ kind: 'json', status: 200, value, indent: '\t' })
export const text = (line: string, status = 200): Reply => ({ kind: 'text', status, text: line })
export const empty = (status = 204): Reply => ({ kind: 'empty', status })

/** Style 1: a line of text. */
export const plainError = (status: number, message: string): Reply => ({ kind: 'text', status, text: message })
/** Style 2: `{"error"}`, 500. */
export const jsonError = (message: string): Reply => ({ kind: 'json', status: 500, value: { error: message } })
/** Style 3: `{"Error"}`, for prefs. */
export const prefsError = (status: number, message: string): Reply => ({
  kind: 'json',
  status,
  value: { Error: message },
})
