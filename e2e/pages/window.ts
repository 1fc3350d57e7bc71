/** The window as a person finds things in it: by role and name. */
import type { Locator, Page } from '@playwright/test'

export class AppWindow {
  readonly page: Page

  constructor(page: Page) {
    this.page = page
  }

  get grid(): Locator {
    return this.page.getByRole('grid', { name: 'Devices' })
  }

  device(name: string): Locator {
    return this.grid.getByRole('row').filter({ has: this.page.getByText(name, { exact: true }) })
  }

  get toggle(): Locator {
    return this.page.getByRole('switch', { name: 'Connection' })
  }

  /** React Aria's input is invisible; people press what they see. */
  async pressToggle(): Promise<void> {
    await this.page.locator('.connect .switch').click()
  }

  get stateWord(): Locator {
    return this.page.locator('.state-word')
  }

  details(name: string): Locator {
    return this.page.getByRole('complementary', { name: `Details of ${name}` })
  }

  async go(section: 'Devices' | 'Exit node' | 'Routes' | 'This device' | 'Settings'): Promise<void> {
    await this.page.getByRole('navigation').getByRole('button', { name: section }).click()
  }

  get search(): Locator {
    return this.page.getByRole('searchbox', { name: 'Search devices' })
  }
}
