/**
 * Text as it may reach a terminal. Names, health texts and errors come from servers and other computers; a control
 * character in one of them could move the cursor, hide text or type for the person, and a change of writing direction
 * could show another name. Such characters become the escapes that JSON has for them, so that JSON stays what it was.
 */

// Control characters of ASCII and Latin-1 but for tab and newline; marks that change the direction of writing.
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const UNSEEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g

export function visible(text: string): string {
  return text.replace(UNSEEN, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

/** Foreign text stays in its line and in its cell. */
export function oneCell(text: string): string {
  return text.replace(/[\t\n\r]+/g, ' ')
}
