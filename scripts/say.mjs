// One way to talk on the terminal while a script works: what happens now, how long it took, what is missing.
// Plain Node 20, no dependencies: these scripts run before anything is installed.

const interactive = process.stderr.isTTY === true

export function note(text) {
  process.stderr.write(`pintail: ${text}\n`)
}

/** Runs one named step, with a ticking line on a terminal and a plain start/end pair elsewhere. */
export async function step(name, work) {
  const started = Date.now()
  const seconds = () => `${Math.round((Date.now() - started) / 1000)} s`
  let detail = ''
  const draw = () => process.stderr.write(`\r\x1b[K  … ${name} ${seconds()}${detail && `  ${detail}`}`)
  const timer = interactive ? setInterval(draw, 1000) : undefined
  if (interactive) draw()
  else process.stderr.write(`  … ${name}\n`)
  try {
    const value = await work((text) => {
      detail = text.slice(0, 60)
    })
    process.stderr.write(`${interactive ? '\r\x1b[K' : ''}  ok ${name} (${seconds()})\n`)
    return value
  } catch (error) {
    process.stderr.write(`${interactive ? '\r\x1b[K' : ''}  failed: ${name} (${seconds()})\n`)
    throw error
  } finally {
    clearInterval(timer)
  }
}
