/** `pintail get`: settings under the names that `set` knows. */
import { flagText } from '../settings/lost-settings.ts'
import { setPrefFlags } from '../settings/pref-flags.ts'
import { goJson } from '../text/go-json.ts'
import { quote } from '../text/quote.ts'
import { alignTabs } from '../text/table.ts'
import { CommandError, type Verb, wordList } from '../verb.ts'

export const get: Verb = {
  name: 'get',
  summary: 'Show settings',
  args: '[flags] [setting | all]',
  details: 'The names are those of the flags of "pintail set".',
  examples: ['pintail get', 'pintail get exit-node', 'pintail set $(pintail get --set-flags)'],
  flags: [
    { name: 'json', kind: 'bool', help: 'as a JSON object', default: false },
    { name: 'set-flags', kind: 'bool', help: 'as arguments for "pintail set"', default: false },
  ],
  async run(call) {
    const { args, flags, terminal } = call
    if (args.length > 1) throw new CommandError(`too many arguments: ${wordList(args)}`)
    const name = args[0] === 'all' ? undefined : args[0]
    const wanted = name === undefined ? setPrefFlags : setPrefFlags.filter(({ spec }) => spec.name === name)
    if (wanted.length === 0)
      throw new CommandError(`unknown setting ${quote(name ?? '')}; see "pintail set --help" for valid settings`)
    const client = await call.connect()
    const prefs = await client.prefs()
    const status = await client.status()
    const values = wanted.map(({ spec, read }) => ({ spec, value: read(prefs, status) }))
    if (flags.bool('json')) {
      const typed = values.map(({ spec, value }) => [spec.name, spec.kind === 'bool' ? value === 'true' : value])
      terminal.out(`${goJson(Object.fromEntries(typed), '  ')}\n`)
    } else if (flags.bool('set-flags')) {
      terminal.out(`${values.map(({ spec, value }) => flagText(spec.name, value)).join(' ')}\n`)
    } else if (name !== undefined) {
      terminal.out(`${values[0]?.value}\n`)
    } else {
      const rows = values.map(({ spec, value }) => `${spec.name}\t${value}\n`)
      terminal.out(alignTabs(`NAME\tVALUE\n${rows.join('')}`, { padding: 2 }))
    }
    return 0
  },
}
