import { expect, test } from 'vitest'
import { chromiumProvider, firefoxProfiles, firefoxProvider, stubbornBrowsers } from './browser-dns.ts'

const only = 'user_pref("network.trr.mode", 3);\nuser_pref("network.trr.uri", "https://dns.example/dns-query");\n'

test('[DNS-17] browsers that ask one provider and nobody else, by what they wrote themselves', async () => {
  const files: { readonly [path: string]: string } = {
    '/home/ann/.mozilla/firefox/profiles.ini':
      '[Profile0]\nName=default\nIsRelative=1\nPath=a.default\n\n[Profile1]\r\nPath=b.work\r\n[Profile2]\nPath=../../x\n',
    '/home/ann/.mozilla/firefox/a.default/prefs.js': '// Mozilla\nuser_pref("network.trr.mode", 2);\n',
    '/home/ann/.mozilla/firefox/b.work/prefs.js': only,
    '/home/ann/.mozilla/x/prefs.js': only,
    '/home/ann/.config/google-chrome/Local State':
      '{"dns_over_https":{"mode":"secure","templates":"https://x.example/q"}}',
    '/home/ann/.config/chromium/Local State': '{"dns_over_https":{"mode":"automatic"}}',
  }
  const read = async (path: string): Promise<string> => {
    const text = files[path]
    if (text === undefined) throw new Error('ENOENT')
    return text
  }
  expect(await stubbornBrowsers('/home/ann', 'tail.example', read)).toEqual([
    {
      browser: 'Firefox',
      file: '/home/ann/.mozilla/firefox/b.work/prefs.js',
      provider: 'https://dns.example/dns-query',
      mend: 'Settings > Privacy & Security > DNS over HTTPS: choose another level, or add tail.example as an exception',
    },
    {
      browser: 'Chrome',
      file: '/home/ann/.config/google-chrome/Local State',
      provider: 'https://x.example/q',
      mend: 'Settings > Privacy and security > Security > Use secure DNS: off, or the current service provider',
    },
  ])
  expect(await stubbornBrowsers('/home/bob', 'tail.example', read)).toEqual([])
})

test.each([
  ['user_pref("network.trr.mode", 3);', ''],
  [only, 'https://dns.example/dns-query'],
  [only.replaceAll('\n', '\r\n'), 'https://dns.example/dns-query'],
  [`${only}user_pref("network.trr.excluded-domains", "lan, TAIL.example");\n`, undefined],
  [`${only}user_pref("network.trr.excluded-domains", "il.example");\n`, 'https://dns.example/dns-query'],
  ['user_pref("network.trr.mode", 5);', undefined],
  ['user_pref("network.trr.mode", "3");', undefined],
  ['user_pref("network.trr.mode", 3', undefined],
  ['// user_pref("network.trr.mode", 3);', undefined],
  ['user_pref("network.trr.mode", 3);\nuser_pref("network.trr.uri", "\\u000");', ''],
  ['', undefined],
])('[DNS-17] Firefox: %j', (prefs, wanted) => expect(firefoxProvider(prefs, 'tail.example')).toBe(wanted))

test.each([
  ['{"dns_over_https":{"mode":"secure"}}', ''],
  ['{"dns_over_https":{"mode":"secure","templates":["x"]}}', ''],
  ['{"dns_over_https":null}', undefined],
  ['{"dns_over_https":"secure"}', undefined],
  ['null', undefined],
  ['[', undefined],
  ['', undefined],
])('[DNS-17] Chromium and its kin: %j', (state, wanted) => expect(chromiumProvider(state)).toBe(wanted))

test('[DNS-17] many profiles, and those that lead elsewhere', () => {
  const ini = Array.from({ length: 1_000 }, (_, i) => `Path=p${i}`).join('\n')
  expect(firefoxProfiles(ini)).toHaveLength(20)
  expect(firefoxProfiles('Path=/etc\nPath=a/../../b\nPath=Profiles/c\nPath=Profiles/c\n')).toEqual(['Profiles/c'])
})
