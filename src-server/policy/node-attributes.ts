/** `node_attributes` of the configuration: which node carries which attribute, beside those that the server gives by itself. */
import type { Config } from '../config/schema.ts'
import type { NodeRecord } from '../registry/model.ts'
import { isNodeOf } from '../registry/whom.ts'

export type AttributeRules = Config['node_attributes']

export class NodeAttributes {
  #rules: AttributeRules
  readonly #userName: (node: NodeRecord) => string | undefined

  constructor(rules: AttributeRules, userName: (node: NodeRecord) => string | undefined) {
    this.#rules = rules
    this.#userName = userName
  }

  of(node: NodeRecord): string[] {
    if (this.#rules.length === 0) return []
    const owner = this.#userName(node)
    const given = this.#rules.filter(({ target }) => target.some((who) => isNodeOf(who, node, owner)))
    return [...new Set(given.flatMap(({ attr }) => attr))].sort()
  }

  /** Other rules from now on; answers the nodes that carry something else. */
  setRules(rules: AttributeRules, nodes: Iterable<NodeRecord>): Set<number> {
    const before = [...nodes].map((node) => ({ node, text: this.of(node).join() }))
    this.#rules = rules
    return new Set(before.filter(({ node, text }) => this.of(node).join() !== text).map(({ node }) => node.id))
  }
}
