/** `--screenshot=FILE`: the window's picture once it shows a connected list, or what there is after ten seconds; then the end. */
import { writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { app } from 'electron'
import { log } from '../log.ts'
import type { MainWindow } from './window.ts'

const LONGEST_WAIT_MS = 10_000
/** Fonts and the first poll's paths. */
const SETTLE_MS = 700

export function takeScreenshot(window: MainWindow, painted: Promise<void>, file: string): void {
  window.show()
  shoot(window, painted, file).then(
    () => app.quit(),
    (error: unknown) => {
      log('error', 'the picture could not be saved', error)
      app.exit(1)
    },
  )
}

async function shoot(window: MainWindow, painted: Promise<void>, file: string): Promise<void> {
  await Promise.race([painted, sleep(LONGEST_WAIT_MS)])
  await sleep(SETTLE_MS)
  const picture = await window.page?.capturePage()
  if (picture === undefined || picture.isEmpty()) throw new Error('there is no picture')
  writeFileSync(file, picture.toPNG())
}
