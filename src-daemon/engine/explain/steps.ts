/** The rules that traffic comes by, in words. Pure. */
import type { RouteStep } from '../../../src-contract/localapi/route-explain.ts'
import type { Stop } from './policy-routing.ts'
import { isOurs, ruleName, ruleText, tableName } from './rule-words.ts'

export function stepOf({ rule, route, outcome }: Stop): RouteStep {
  const [hop] = route?.hops ?? []
  return {
    Priority: rule.priority,
    Rule: ruleText(rule),
    Name: ruleName(rule),
    IsOurs: isOurs(rule),
    Table: rule.action.kind === 'lookup' ? rule.action.table : '',
    Prefix: route?.text ?? '',
    Kind: route?.type ?? '',
    Interface: hop?.interfaceName ?? '',
    Gateway: hop?.gateway ?? '',
    Metric: route?.metric ?? 0,
    Won: outcome === 'won' || outcome === 'refused',
    Why: whyStep({ rule, route, outcome }),
  }
}

function whyStep({ rule, route, outcome }: Stop): string {
  const table = rule.action.kind === 'lookup' ? tableName(rule.action.table) : ''
  switch (outcome) {
    case 'won':
      return `${route?.text} is the smallest network in ${table} that has it.`
    case 'refused':
      return route === undefined ? 'The rule refuses it.' : `The route "${route.type} ${route.text}" refuses it.`
    case 'no-table-route':
      return `Nothing in ${table} has it.`
    case 'thrown':
      return `${route?.text} is excepted from ${table}: the next rule decides.`
    case 'suppressed':
      return `${route?.text} is too wide for this rule: the next one decides.`
    case 'jumped':
      return rule.action.kind === 'goto' ? `Goes on at rule ${rule.action.priority}.` : ''
    case 'nothing':
      return 'Does nothing.'
  }
}
