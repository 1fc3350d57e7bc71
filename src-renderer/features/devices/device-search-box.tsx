/** Search field: `/` and Ctrl+F come here, Escape clears. */
import { useEffect, useRef } from 'react'
import { Button, Input, SearchField } from 'react-aria-components'
import { useText } from '../../text/i18n.ts'
import { Icon } from '../../ui/icons.tsx'

export function DeviceSearchBox({ value, onChange }: { value: string; onChange: (value: string) => void }) {
  const { t } = useText()
  const input = useRef<HTMLInputElement>(null)
  useEffect(() => {
    const hear = (event: KeyboardEvent) => {
      const isTyping = event.target instanceof HTMLInputElement
      const isFind = event.key.toLowerCase() === 'f' && (event.ctrlKey || event.metaKey)
      if (!isFind && (event.key !== '/' || isTyping)) return
      event.preventDefault()
      input.current?.focus()
      input.current?.select()
    }
    window.addEventListener('keydown', hear)
    return () => window.removeEventListener('keydown', hear)
  }, [])
  return (
    <SearchField className="search" aria-label={t('devices.search')} value={value} onChange={onChange}>
      <Icon name="search" />
      <Input ref={input} placeholder={t('devices.search')} title={t('devices.searchHint')} />
      <Button className="icon-button" aria-label={t('devices.clearSearch')}>
        <Icon name="close" />
      </Button>
    </SearchField>
  )
}
