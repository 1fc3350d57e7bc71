/** The only code that sees both worlds: offers the bridge's names to the page and nothing else. */
import { contextBridge, ipcRenderer } from 'electron'
import { type Bridge, callNames, channelOf, pushNames } from '../src-contract/bridge.ts'

const bridge: Bridge = {
  call: (name, input) => {
    if (!callNames.includes(name)) return Promise.reject(new Error('no such call'))
    return ipcRenderer.invoke(channelOf('call', name), input)
  },
  on: (name, listener) => {
    if (!pushNames.includes(name)) throw new Error('no such push')
    const channel = channelOf('push', name)
    const hear = (_event: unknown, value: Parameters<typeof listener>[0]) => listener(value)
    ipcRenderer.on(channel, hear)
    return () => ipcRenderer.off(channel, hear)
  },
}

contextBridge.exposeInMainWorld('pintail', bridge)
