/** Where in the window one is: survives re-renders, not the renderer. */
import { create } from 'zustand'
import type { DeviceChip } from '../../daemon/device-search.ts'

export const sections = ['devices', 'exit-node', 'routes', 'this-device', 'settings'] as const
export type Section = (typeof sections)[number]

interface Navigation {
  readonly section: Section
  readonly selectedId: string | undefined
  readonly query: string
  readonly chip: DeviceChip
  go(section: Section): void
  select(id: string | undefined): void
  setQuery(query: string): void
  setChip(chip: DeviceChip): void
}

export const useNavigation = create<Navigation>()((set) => ({
  section: 'devices',
  selectedId: undefined,
  query: '',
  chip: 'all',
  go: (section) => set({ section }),
  select: (selectedId) => set({ selectedId }),
  setQuery: (query) => set({ query, section: 'devices' }),
  setChip: (chip) => set({ chip }),
}))
