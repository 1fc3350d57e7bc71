/** This machine's certificate and the authority that stands for it. [docs/rules/certificates.md CRT-4] */
import type { CertificateAuthorityReport } from '../../../src-contract/localapi/certificates.ts'
import type { Backend } from '../../engine/backend.ts'
import { NoCertificateError } from '../../engine/certificates/certificates.ts'
import { json, plainError, type Reply, text } from '../reply.ts'
import type { ApiRequest, RouteTable } from '../request.ts'

export function certificateRoutes(backend: Backend): RouteTable {
  return {
    'cert/': { GET: { needs: 'write', handle: (request) => certificate(backend, request) } },
    'pintail/authority': { GET: { needs: 'read', handle: () => authority(backend) } },
  }
}

async function certificate({ certificates }: Backend, { rest, query }: ApiRequest): Promise<Reply> {
  const type = query.get('type') ?? 'pair'
  if (!['pair', 'crt', 'cert', 'key'].includes(type)) return plainError(400, `unknown type ${JSON.stringify(type)}`)
  const minValidityMs = parseGoDurationMs(query.get('min_validity') ?? '0s')
  if (minValidityMs === undefined) return plainError(400, 'invalid min_validity')
  if (certificates === undefined) return plainError(500, 'this daemon has no certificates')
  try {
    const { cert, key } = await certificates.pair(decodeURIComponent(rest), minValidityMs)
    return text(type === 'pair' ? `${key}${cert}` : type === 'key' ? key : cert)
  } catch (error) {
    if (error instanceof NoCertificateError) return plainError(500, error.message)
    throw error
  }
}

function authority({ certificates }: Backend): Reply {
  const known = certificates?.authority
  const report: CertificateAuthorityReport = { Name: known?.name ?? '', Root: known?.rootPem ?? '' }
  return json(report)
}

/** `720h0m0s`, as clients of stock daemons write it. */
function parseGoDurationMs(value: string): number | undefined {
  if (value === '0') return 0
  if (!/^(\d+(\.\d+)?(h|m|s|ms))+$/.test(value)) return undefined
  const units = { h: 3_600_000, m: 60_000, s: 1_000, ms: 1 } as const
  let sum = 0
  for (const [, number, , unit] of value.matchAll(/(\d+(\.\d+)?)(ms|h|m|s)/g))
    sum += Number(number) * units[unit as keyof typeof units]
  return sum
}
