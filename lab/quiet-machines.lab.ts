/**
 * Machines that join a network and fall silent, for measurements in a namespace: no daemon, only their registration.
 *
 *   node quiet-machines.lab.ts CONTROL_URL AUTH_KEY COUNT
 */
import { TestMachine } from '../src-server/control/noise-client.lab.ts'

const [url = '', key = '', count = '0'] = process.argv.slice(2)
for (let i = 0; i < Number(count); i++) {
  const machine = new TestMachine(url)
  const Hostinfo = { Hostname: `quiet-${i}`, OS: 'linux' }
  const reply = await machine.register({ Auth: { AuthKey: key }, Hostinfo })
  if (reply.Error) throw new Error(reply.Error)
  await machine.close()
}
console.log(`${count} joined`)
