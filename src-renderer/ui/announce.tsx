/** One short sentence for eyes and screen readers alike: “Copied …”. */
import { useEffect } from 'react'
import { create } from 'zustand'

const useAnnouncement = create<{ text: string; isShown: boolean }>()(() => ({ text: '', isShown: false }))
const SHOWN_MS = 2500

export function announce(text: string): void {
  useAnnouncement.setState({ text, isShown: true })
}

export function Announcement() {
  const { text, isShown } = useAnnouncement()
  useEffect(() => {
    if (!isShown || text === '') return
    const timer = setTimeout(() => useAnnouncement.setState({ isShown: false }), SHOWN_MS)
    return () => clearTimeout(timer)
  }, [text, isShown])
  return (
    <div role="status" aria-live="polite" className={isShown ? 'announcement shown' : 'announcement'}>
      {text}
    </div>
  )
}
