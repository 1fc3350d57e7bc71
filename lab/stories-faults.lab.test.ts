/** Faults around a whole machine that it survives by itself. A killed daemon: `router-crash`, `dns`, and the named run. [lab/expect-all.lab.ts] */
import { test } from 'vitest'
import { expectAll } from './expect-all.lab.ts'
import { portal } from './scenarios/portal.ts'
import { roam } from './scenarios/roam.ts'

test('[F4] the address changes, interfaces come and go: pings and TCP connections go on, direct and relayed', () =>
  expectAll((sheet, folder) => roam(sheet, { folder, isBrief: true })))

test('[F16] a captive portal: health says so; signed in, everything is back by itself', () =>
  expectAll((sheet, folder) => portal(sheet, { folder, isBrief: true })))
