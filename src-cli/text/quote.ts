/** A text in double quotes with control characters escaped, for messages that repeat what somebody typed. */
export function quote(text: string): string {
  return JSON.stringify(text)
}
