/** What the administration verbs print: tables for people, one JSON document with --json. */

export interface Output {
  /** Standard output. */
  print(text: string): void
}

/** Columns as wide as their widest cell; the last one runs free. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [head, ...rows]
  const widths = head.map((_, column) => Math.max(...all.map((row) => row[column]!.length)))
  return all
    .map((row) =>
      row
        .map((cell, column) => (column === row.length - 1 ? cell : cell.padEnd(widths[column]!)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

/** `2026-05-01 10:20` in UTC, or a dash. */
export function shortTime(time: string | null): string {
  return time === null ? '-' : time.slice(0, 16).replace('T', ' ')
}
