/** The screen's search field: `/` and Ctrl+F come here, Escape clears. */
import { useEffect, useRef } from 'react'
import { Button, Input, SearchField } from 'react-aria-components'
import { Icon } from './icons.tsx'

export interface SearchBoxProps {
  label: string
  clearLabel: string
  /** What can be typed. */
  hint?: string
  value: string
  onChange: (value: string) => void
}

export function SearchBox({ label, clearLabel, hint, value, onChange }: SearchBoxProps) {
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
    <SearchField className="search" aria-label={label} value={value} onChange={onChange}>
      <Icon name="search" />
      <Input ref={input} placeholder={label} title={hint} />
      <Button className="icon-button" aria-label={clearLabel}>
        <Icon name="close" />
      </Button>
    </SearchField>
  )
}
