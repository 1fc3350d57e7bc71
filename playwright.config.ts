// The app's end-to-end tests: real Electron, one at a time (one display, one bus). Started by `node scripts/e2e.mjs`.
import { defineConfig } from '@playwright/test'

export default defineConfig({
  testDir: 'e2e',
  // PINTAIL_PICTURES=1 makes docs/images instead of testing.
  testMatch: process.env.PINTAIL_PICTURES ? '**/*.pictures.ts' : '**/*.e2e.ts',
  workers: 1,
  fullyParallel: false,
  timeout: 40_000,
  expect: { timeout: 8000 },
  forbidOnly: process.env.CI !== undefined,
  reporter: [['list'], ['json', { outputFile: 'test-results/e2e.json' }]],
  outputDir: 'test-results/e2e',
})
