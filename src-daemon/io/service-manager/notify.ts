/**
 * Tells the service manager how we are: ready, a line of status, stopping. Silent where nobody asked. Not what the line
 * says (`engine/status-line.ts`). [sd_notify(3)]
 */
import { sendUnixDatagram } from '../../../src-native/os-calls.ts'
import { errorText, type Log } from '../log/log.ts'

const MAX_STATUS = 500

export interface ServiceManager {
  ready(): void
  status(line: string): void
  stopping(): void
}

/** Takes the address out of `env`: programs that we run have nothing to say there. */
export function openServiceManager(
  env: { NOTIFY_SOCKET?: string | undefined },
  log: Log,
  send: (path: string, text: string) => void = sendUnixDatagram,
): ServiceManager {
  const path = env.NOTIFY_SOCKET ?? ''
  delete env.NOTIFY_SOCKET
  let said = ''
  const tell = (text: string): void => {
    if (!/^[/@]./.test(path)) return
    try {
      send(path, text)
    } catch (error) {
      log.warn('service-manager-unreachable', { reason: errorText(error) })
    }
  }
  return {
    ready: () => tell('READY=1'),
    stopping: () => tell('STOPPING=1'),
    status(line) {
      const text = visibleLine(line)
      if (text !== said) tell(`STATUS=${text}`)
      said = text
    },
  }
}

/** A newline would begin another assignment. */
function visibleLine(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, ' ').slice(0, MAX_STATUS)
}
