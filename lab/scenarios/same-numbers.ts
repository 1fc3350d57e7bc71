/** Two sites with the same network, reached at the same time by 4via6 addresses: one behind our router, one behind a stock one. */
import { checksOn } from '../checks.ts'
import { eventually } from '../eventually.ts'
import type { Sheet } from '../measure-line.ts'
import { Office, type OfficeOptions } from '../office.ts'

export async function sameNumbers(
  sheet: Sheet,
  options: OfficeOptions & { readonly branch: 'ours' | 'stock' },
): Promise<void> {
  const office = await Office.open(options)
  const checks = checksOn(sheet, `${options.client} client, ${options.routers[0]} and ${options.branch} routers`)
  try {
    const [router] = office.routers
    const first = await office.offerSite(router!, 7)
    const branch = await office.addBranch(options.branch, 8)
    await office.approve(router!.name)
    await office.approve('branch')
    await office.client.client.editPrefs({ RouteAll: true, RouteAllSet: true })
    for (const [name, url] of [
      ['office', first],
      ['branch', branch.url],
    ] as const) {
      const page = await eventually(
        `the page of ${name}`,
        async () => ((await office.page(url)).includes(`<h1>${name}</h1>`) ? name : undefined),
        { withinMs: 15_000 },
      ).catch(() => office.page(url))
      checks.is(`192.168.50.10 of site ${name}`, page, name)
    }
    if (options.client === 'ours') {
      const to = new URL(branch.url).hostname.replace(/^\[|\]$/g, '')
      const [found] = (await office.client.client.explainRoute({ to }))?.Targets ?? []
      const told = [found?.Verdict, found?.Peer?.Name, found?.Via6?.Address, found?.Via6?.Site, found?.KernelAgrees]
      checks.is('explained', told, ['peer', 'branch', '192.168.50.10', 8, true])
    }
  } finally {
    await office.close()
  }
}
