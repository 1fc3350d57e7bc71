import { describe, expect, test } from 'vitest'
import { parseServerUrl } from './dial-plan.ts'
import { ControlError } from './port.ts'

const targets = (url: string) => parseServerUrl(url).targets.map((t) => `${t.isTls ? 'tls' : 'plain'} ${t.port}`)

describe('dial plan', () => {
  test('[CTL-2.2] first what the URL says, then the other way', () => {
    expect(targets('https://control.example.com')).toEqual(['tls 443', 'plain 80'])
    expect(targets('https://control.example.com:8443')).toEqual(['tls 8443', 'plain 80'])
    expect(targets('http://control.example.com')).toEqual(['plain 80', 'tls 443'])
    expect(targets('http://203.0.113.4:8080')).toEqual(['plain 8080', 'tls 443'])
  })
  test('[CTL-2.2] nearby hosts with an http URL are not asked over TLS', () => {
    const hosts = [
      '10.1.2.3',
      '192.168.0.1',
      '127.0.0.1',
      'localhost',
      '[::1]',
      '[fd00::1]',
      '169.254.1.1',
      '100.64.0.9',
    ]
    for (const host of hosts) expect(targets(`http://${host}:8080`)).toEqual(['plain 8080'])
    expect(targets('http://192.168.0.1')).toEqual(['plain 80'])
  })
  test('host, authority and trailing slashes', () => {
    expect(parseServerUrl('http://[::1]:8080///')).toMatchObject({ host: '::1', authority: '[::1]:8080' })
    expect(parseServerUrl('https://Control.Example.com/')).toMatchObject({
      host: 'control.example.com',
      authority: 'control.example.com',
      origin: 'https://control.example.com',
    })
  })
  test('what is no server URL', () => {
    for (const text of ['', 'control.example.com', 'ftp://x', 'http://', 'file:///etc/passwd', 'https://:80']) {
      expect(() => parseServerUrl(text), text).toThrow(ControlError)
    }
  })
})
