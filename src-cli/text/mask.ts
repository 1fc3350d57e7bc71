/** Keeps keys out of what we print: anything that looks like one, and the values of flags that carry one. */
const LOOKS_LIKE_A_KEY = /\b(pintail-auth|tskey|hskey|privkey|nlpriv)([-:])[A-Za-z0-9_-]+/g

export function maskSecrets(text: string, secrets: readonly string[] = []): string {
  const named = secrets.filter((secret) => secret.length >= 4).reduce((t, s) => t.replaceAll(s, '[secret]'), text)
  return named.replace(LOOKS_LIKE_A_KEY, '$1$2[secret]')
}
