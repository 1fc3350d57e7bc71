/**
 * Aligned columns. A cell that ends with a tab belongs to a column; a column reaches over the neighbouring lines that
 * have it, and is as wide as its widest cell plus the padding. The text behind a line's last tab is not aligned.
 */
export interface TableShape {
  minWidth?: number
  padding: number
}

export function alignTabs(text: string, { minWidth = 0, padding }: TableShape): string {
  const lines = text.split('\n').map((line) => line.split('\t'))
  const widths: number[][] = lines.map(() => [])
  const columns = Math.max(...lines.map((cells) => cells.length - 1))
  for (let column = 0; column < columns; column++) {
    for (let start = 0; start < lines.length; ) {
      let end = start
      while (end < lines.length && hasColumn(lines[end], column)) end++
      if (end === start) {
        start++
        continue
      }
      const widest = Math.max(...lines.slice(start, end).map((cells) => width(cells[column] ?? '')))
      for (let line = start; line < end; line++) widths[line]?.push(Math.max(minWidth, widest + padding))
      start = end
    }
  }
  return lines
    .map((cells, line) =>
      cells.map((cell, i) => cell + ' '.repeat(Math.max(0, (widths[line]?.[i] ?? 0) - width(cell)))),
    )
    .map((cells) => cells.join(''))
    .join('\n')
}

const hasColumn = (cells: string[] | undefined, column: number) => (cells?.length ?? 0) - 1 > column

/** In characters, not columns of the screen: scripts cut by position in the stock output too. */
function width(cell: string): number {
  return [...cell].length
}
