/** The app's own settings, each applied at once; About with the licence and whom we are not. */
import { useQuery } from '@tanstack/react-query'
import { Label, Radio, RadioGroup } from 'react-aria-components'
import { languages, themes, trayStyles } from '../../../src-contract/app/app-state.ts'
import { languageNames } from '../../../src-contract/text/languages.ts'
import { call } from '../../daemon/bridge.ts'
import { useCommand } from '../../daemon/commands.ts'
import { useApp } from '../../daemon/mirror.ts'
import { useText } from '../../text/i18n.ts'
import { Mark } from '../../ui/icons.tsx'
import { ErrorMessage } from '../../ui/message.tsx'

interface ChoiceProps<T extends string> {
  label: string
  value: T
  options: readonly { value: T; label: string }[]
  hint?: string
  onChange: (value: T) => void
}

function Choice<T extends string>({ label, value, options, hint, onChange }: ChoiceProps<T>) {
  return (
    <RadioGroup className="setting" value={value} orientation="horizontal" onChange={(next) => onChange(next as T)}>
      <div className="setting-text">
        <Label>{label}</Label>
        {hint !== undefined && <p className="hint">{hint}</p>}
      </div>
      <div className="choices">
        {options.map((option) => (
          <Radio key={option.value} value={option.value} className="choice">
            {option.label}
          </Radio>
        ))}
      </div>
    </RadioGroup>
  )
}

export function SettingsScreen() {
  const { t } = useText()
  const settings = useApp((state) => state.settings)
  const hasTray = useApp((state) => state.hasTray)
  const set = useCommand('settings.set')
  const themeLabels = {
    system: t('settings.themeSystem'),
    light: t('settings.themeLight'),
    dark: t('settings.themeDark'),
  }
  const trayLabels = { colour: t('settings.trayColour'), light: t('settings.trayLight'), dark: t('settings.trayDark') }
  return (
    <div className="page">
      <h1>{t('settings.title')}</h1>
      <section className="card">
        <Choice
          label={t('settings.language')}
          value={settings.language}
          options={[
            {
              value: 'system' as const,
              label: t('settings.languageSystem', { language: languageNames[settings.systemLanguage] }),
            },
            ...languages.map((value) => ({ value, label: languageNames[value] })),
          ]}
          onChange={(language) => set.mutate({ language })}
        />
        <Choice
          label={t('settings.theme')}
          value={settings.theme}
          options={themes.map((value) => ({ value, label: themeLabels[value] }))}
          onChange={(theme) => set.mutate({ theme })}
        />
        {hasTray ? (
          <Choice
            label={t('settings.tray')}
            value={settings.trayStyle}
            options={trayStyles.map((value) => ({ value, label: trayLabels[value] }))}
            onChange={(trayStyle) => set.mutate({ trayStyle })}
          />
        ) : (
          <Choice
            label={t('settings.whenClosed')}
            value={settings.whenClosed}
            hint={t('settings.trayMissing')}
            options={[
              { value: 'ask' as const, label: t('settings.closedAsk') },
              { value: 'keep' as const, label: t('settings.closedKeep') },
              { value: 'quit' as const, label: t('settings.closedQuit') },
            ]}
            onChange={(whenClosed) => set.mutate({ whenClosed })}
          />
        )}
        <ErrorMessage error={set.error} />
      </section>
      <About />
    </div>
  )
}

function About() {
  const { t } = useText()
  const daemon = useApp((state) => state.daemon)
  const facts = useQuery({ queryKey: ['about.facts'], queryFn: () => call('about.facts', undefined) })
  const service =
    daemon.link !== 'connected'
      ? t('settings.serviceNone')
      : daemon.features === null
        ? t('settings.serviceOther', { version: daemon.version })
        : t('settings.serviceOurs', { version: daemon.version })
  return (
    <section className="card about">
      <header>
        <Mark size={32} />
        <div>
          <h2>{t('app.name')}</h2>
          <p className="muted">{facts.data && t('settings.version', { version: facts.data.version })}</p>
        </div>
      </header>
      <p>{t('settings.notice')}</p>
      <p className="hint selectable">
        {t('settings.service')}: {service} · <span className="mono">{daemon.socketPath}</span>
      </p>
      {facts.data && <p className="hint selectable">{t('settings.runtime', { ...facts.data })}</p>}
    </section>
  )
}
