/** Node names: from what a computer calls itself to a unique DNS label.                          [control.md §3.6] */

const MAX_LABEL = 63

/** The same rules as clients have, so that both ends show the same name. Empty when nothing usable is left. */
export function sanitizeHostname(hostname: string): string {
  let name = hostname
  for (const suffix of ['.local', '.localdomain', '.lan'])
    if (name.endsWith(suffix)) name = name.slice(0, -suffix.length)
  name = name.slice(0, MAX_LABEL).replace(/^[^a-zA-Z0-9]+|[^a-zA-Z0-9]+$/g, '')
  return name
    .replace(/[ .@_]/g, '-')
    .replace(/[^a-zA-Z0-9-]/g, '')
    .toLowerCase()
}

/** `wish`, or with the first free `-1`, `-2`… behind it. */
export function uniqueName(wish: string, isTaken: (name: string) => boolean): string {
  const base = wish === '' ? 'node' : wish
  if (!isTaken(base)) return base
  for (let n = 1; ; n++) {
    const suffix = `-${n}`
    const name = base.slice(0, MAX_LABEL - suffix.length).replace(/-+$/, '') + suffix
    if (!isTaken(name)) return name
  }
}

/** A label an administrator may give. */
export function isValidLabel(name: string): boolean {
  return /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/.test(name)
}

export function isValidTag(tag: string): boolean {
  return /^tag:[a-zA-Z][a-zA-Z0-9-]{0,60}$/.test(tag)
}

/** User names: what fits in front of an `@`, or a whole e-mail address. */
export function isValidUserName(name: string): boolean {
  return /^[a-zA-Z0-9][a-zA-Z0-9._+-]{0,62}(@[a-zA-Z0-9.-]{1,190})?$/.test(name)
}
