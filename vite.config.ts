// Three bundles: the page (served from app://), the main process, and the preload. `scripts/build-app.mjs` makes all.
import react from '@vitejs/plugin-react'
import { defineConfig, type UserConfig } from 'vite'

const renderer: UserConfig = {
  root: 'src-renderer',
  base: './',
  plugins: [react()],
  html: { cspNonce: '__CSP_NONCE__' },
  build: {
    outDir: '../dist/renderer',
    emptyOutDir: true,
    target: 'chrome150',
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
  },
}

function nodeBundle(entry: string, fileName: string, format: 'es' | 'cjs'): UserConfig {
  return {
    publicDir: false,
    ssr: { noExternal: true, external: ['electron'] },
    build: {
      ssr: entry,
      outDir: 'dist/main',
      emptyOutDir: false,
      target: 'node24',
      rolldownOptions: {
        external: ['electron'],
        output: { format, entryFileNames: fileName, codeSplitting: false },
      },
    },
  }
}

export default defineConfig(({ mode }) => {
  if (mode === 'main') return nodeBundle('src-main/main.ts', 'main.mjs', 'es')
  if (mode === 'preload') return nodeBundle('src-main/preload.ts', 'preload.cjs', 'cjs')
  return renderer
})
