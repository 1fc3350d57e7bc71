/** Starts the page: words, the first snapshot, then the screen. */
import { QueryClient, QueryClientProvider } from '@tanstack/react-query'
import { StrictMode, useEffect } from 'react'
import { I18nProvider } from 'react-aria-components'
import { createRoot } from 'react-dom/client'
import { effectiveLanguage } from '../src-contract/app/app-state.ts'
import { useApp, useMirror, watchMirror } from './daemon/mirror.ts'
import { Shell } from './features/shell/shell.tsx'
import './styles/tokens.css'
import './styles/base.css'
import './styles/controls.css'
import './styles/layout.css'
import './styles/devices.css'
import './styles/exit.css'
import './styles/routes.css'
import { setLanguage, startText } from './text/i18n.ts'

// What we ask is asked when somebody looks; the daemon is on this computer, a retry would not help.
const queries = new QueryClient({
  defaultOptions: { queries: { retry: false, networkMode: 'always' }, mutations: { networkMode: 'always' } },
})

function App() {
  const language = useApp((state) => effectiveLanguage(state.settings))
  useEffect(() => {
    void setLanguage(language)
  }, [language])
  return (
    <I18nProvider locale={language}>
      <Shell />
    </I18nProvider>
  )
}

async function start(): Promise<void> {
  await watchMirror()
  const settings = useMirror.getState().mirror?.state.settings
  await startText(settings === undefined ? 'en' : effectiveLanguage(settings))
  const root = document.getElementById('root')
  if (root === null) throw new Error('the page has no root')
  createRoot(root).render(
    <StrictMode>
      <QueryClientProvider client={queries}>
        <App />
      </QueryClientProvider>
    </StrictMode>,
  )
}

void start()
