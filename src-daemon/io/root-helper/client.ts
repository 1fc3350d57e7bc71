/** Asks the helper: one connection a command, one line there, one line back, within a deadline. */
import { connect } from 'node:net'
import { errorCode, errorText } from '../log/log.ts'
import type { RootHelper, RootResult } from './port.ts'
import { decodeRootReply, encodeRootRequest } from './request.ts'

/** The helper may have to be started first, and what it runs has 10 s. */
const ANSWER_LIMIT_MS = 20_000
const MAX_REPLY_CHARACTERS = 4 << 10

export function rootHelperClient(socketPath: string, answerLimitMs: number = ANSWER_LIMIT_MS): RootHelper {
  return {
    run: (command) =>
      new Promise<RootResult>((resolve) => {
        const socket = connect(socketPath)
        const fail = (kind: 'failed' | 'unreachable', why: string): void => {
          socket.destroy()
          resolve({ kind, message: `${command.verb}: ${why}` })
        }
        const timer = setTimeout(() => fail('failed', 'the root helper did not answer in time'), answerLimitMs)
        let answer = ''
        socket.setEncoding('utf8')
        socket.once('connect', () => socket.write(encodeRootRequest(command)))
        socket.on('data', (chunk: string) => {
          answer += chunk
          if (answer.length > MAX_REPLY_CHARACTERS) fail('failed', 'the root helper said too much')
        })
        socket.once('error', (error) => {
          const isAbsent = ['ENOENT', 'ECONNREFUSED', 'EACCES'].includes(errorCode(error) ?? '')
          if (isAbsent) fail('unreachable', `needs root, and no root helper answers at ${socketPath}`)
          else fail('failed', errorText(error))
        })
        socket.once('close', () => {
          clearTimeout(timer)
          const reply = decodeRootReply(answer.replace(/\n$/, ''))
          // After `fail` this resolves nothing any more.
          resolve(reply.ok ? reply.value : { kind: 'failed', message: `${command.verb}: the root helper hung up` })
        })
      }),
  }
}
