/** `--advertise-tags`: `eng,tag:ssh` → `tag:eng`, `tag:ssh`. Pure. */
import { CommandError } from '../verb.ts'

export function parseTags(text: string): string[] | null {
  if (text === '') return null
  return text.split(',').map((typed) => {
    const tag = typed.includes(':') ? typed : `tag:${typed}`
    const problem = tagProblem(tag)
    if (problem !== undefined) throw new CommandError(`tag: ${JSON.stringify(tag)}: ${problem}`)
    return tag
  })
}

function tagProblem(tag: string): string | undefined {
  if (!tag.startsWith('tag:')) return "tags must start with 'tag:'"
  const name = tag.slice('tag:'.length)
  if (name === '') return 'tag names must not be empty'
  if (!/^[a-z]/i.test(name)) return "tag names must start with a letter, after 'tag:'"
  if (!/^[a-z0-9-]+$/i.test(name)) return 'tag names can only contain numbers, letters, or dashes'
  return undefined
}
