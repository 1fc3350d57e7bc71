/** Lab tests: datagrams to two addresses, without pause, each with a look at the routes; SIGTERM prints how many were tried. */
import { createSocket } from 'node:dgram'

const [v4 = '', v6 = ''] = process.argv.slice(2)
let tried = 0
for (const [type, address] of [
  ['udp4', v4],
  ['udp6', v6],
] as const) {
  const socket = createSocket(type)
  const send = (): void => {
    tried++
    socket.send('leak', 9, address, () => setImmediate(send)) // refused ones are tried again, too
  }
  socket.bind(0, send)
}
process.on('SIGTERM', () => {
  process.stdout.write(`${tried}\n`, () => process.exit(0))
})
process.stdout.write('ready\n')
