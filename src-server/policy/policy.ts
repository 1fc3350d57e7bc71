/**
 * Who may see and reach whom. A policy answers for one viewer at a time; the mapper asks it for each map and delta. Today
 * there is one, which allows everything; a policy file compiles to the same interface.
 */
import type { FilterRule } from '../../src-contract/control/map.ts'
import type { NodeRecord } from '../registry/model.ts'

export interface Policy {
  /** Visibility is symmetric: who may be reached must know the caller. */
  canSee(viewer: NodeRecord, other: NodeRecord): boolean
  /** The rules that this node enforces on arriving packets. */
  packetFilter(node: NodeRecord): FilterRule[]
  /** The rules of the SSH server on this node, in order. Empty: nobody. */
  sshRules(node: NodeRecord): unknown[]
  /** Capabilities that the policy gives this node, beside the server's own. */
  capabilities(node: NodeRecord): readonly string[]
}

const EVERYTHING: readonly FilterRule[] = [{ SrcIPs: ['*'], DstPorts: [{ IP: '*', Ports: { First: 0, Last: 65535 } }] }]

export const allowAll: Policy = {
  canSee: () => true,
  packetFilter: () => [...EVERYTHING],
  sshRules: () => [],
  capabilities: () => [],
}
