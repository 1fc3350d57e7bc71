/** Waits for the world, not for the clock: asks until the answer is right, and says what it was when time is up. */
export async function eventually<T>(
  what: string,
  ask: () => Promise<T | undefined> | T | undefined,
  options: { withinMs: number; everyMs?: number },
): Promise<T> {
  const end = performance.now() + options.withinMs
  let last: unknown
  for (;;) {
    try {
      const answer = await ask()
      if (answer !== undefined) return answer
    } catch (error) {
      last = error
    }
    if (performance.now() >= end)
      throw new Error(
        `${what}: not within ${options.withinMs} ms${last instanceof Error ? ` (last error: ${last.message})` : ''}`,
      )
    await new Promise((resolve) => setTimeout(resolve, options.everyMs ?? 50))
  }
}
