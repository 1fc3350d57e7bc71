import { expect, test } from 'vitest'
import { EMPTY_PEER_STATUS, type Status } from '../../src-contract/localapi/status.ts'
import { statusLine } from './status-line.ts'

const status = (fields: Partial<Status>): Status => ({
  Version: '1.2.3',
  TUN: true,
  BackendState: 'NoState',
  AuthURL: '',
  TailscaleIPs: null,
  Self: EMPTY_PEER_STATUS,
  Health: null,
  MagicDNSSuffix: '',
  CurrentTailnet: null,
  CertDomains: null,
  Peer: null,
  User: null,
  ClientVersion: null,
  ...fields,
})

test.each<[Partial<Status>, string]>([
  [{}, 'Starting'],
  [{ BackendState: 'NeedsLogin' }, 'Needs login: pintail up'],
  [{ BackendState: 'NeedsMachineAuth' }, 'Waiting for approval by an administrator'],
  [{ BackendState: 'Stopped' }, 'Stopped: pintail up'],
  [{ BackendState: 'Starting', Health: ['no relay answers', 'x'] }, 'Connecting; no relay answers'],
  [
    {
      BackendState: 'Running',
      TailscaleIPs: ['100.64.0.1', 'fd7a:115c:a1e0::1'] as never,
      Self: { ...EMPTY_PEER_STATUS, UserID: 7 },
      User: { 7: { ID: 7, LoginName: 'a@example.com', DisplayName: 'A' } as never },
    },
    'Connected; a@example.com; 100.64.0.1 fd7a:115c:a1e0::1',
  ],
  [
    {
      BackendState: 'Running',
      TailscaleIPs: ['100.64.0.1'] as never,
      CurrentTailnet: { Name: 'example.com' } as never,
      Health: ['no relay answers'],
    },
    'Connected to example.com; 100.64.0.1; no relay answers',
  ],
])('[PV-6] [U1] %j: %s', (fields, line) => {
  expect(statusLine(status(fields))).toBe(`1.2.3: ${line}`)
})
