import { defineConfig } from 'vitest/config'

// Tests that need namespaces and a TUN device. They run inside the sandbox (scripts/sandbox.mjs), one file at a time:
// two cores carry several daemons and a server already.
export default defineConfig({
  test: {
    include: ['src-*/**/*.lab.test.ts', 'lab/**/*.lab.test.ts'],
    pool: 'forks',
    fileParallelism: false,
    // Real daemons keep real time here, on machines that others load. What needed its second try is named below the sum.
    retry: 1,
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
})
