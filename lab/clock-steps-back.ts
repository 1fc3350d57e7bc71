/** Sets a program's wall clock back by a day five seconds after its start: `node --import lab/clock-steps-back.ts …`. */
const DAY_MS = 86_400_000
const AFTER_MS = 5_000

const rightNow = Date.now
Date.now = () => rightNow() - (performance.now() > AFTER_MS ? DAY_MS : 0)
