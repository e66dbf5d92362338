import { chars, isDigit, isExponent, maxDepth } from '@dynamo/runtime/internal';

/** What `JSON.parse` does not tell of a text. */
export interface JsonFacts {
  /** Names in all objects of the text, repeated ones included. */
  readonly members: number;
  /** Whether a number is there whose kind or digits `JSON.parse` loses: `1.0`, `1e40`, or 16 digits and more. */
  readonly inexact: boolean;
  /** Whether 1.6.1 refuses the text all the same: too deep, a number beyond a double, an unpaired surrogate. */
  readonly suspect: boolean;
}

/** An escaped half of a surrogate pair without its other half, or what looks like one: the strict reader decides. */
const unpaired = /\\u[dD][89abAB]..(?!\\u[dD][c-fC-F])|(?<!\\u[dD][89abAB]..)\\u[dD][c-fC-F]/;

/** Digits of an integer that a double still holds, whatever they are. */
const exactDigits = 15;

/**
 * Looks through a text in one pass that jumps over strings. It need not be JSON: what is found then means nothing, but is
 * found in linear time, and too deep a text is noticed before `JSON.parse` builds it.
 *
 * Numbers that are members of the outermost object under a name in `floats` are never inexact: whoever reads those reads
 * floats anyway.
 */
export function factsOf(text: string, floats: ReadonlySet<string>): JsonFacts {
  let members = 0;
  let depth = 0;
  let inexact = false;
  let suspect = text.includes('\\u') && unpaired.test(text);
  let nameStart = 0;
  let nameEnd = 0;
  for (let i = 0; i < text.length; i++) {
    const char = text.charCodeAt(i);
    if (char === chars.quote) {
      const end = endOfString(text, i);
      if (depth === 1) {
        nameStart = i + 1;
        nameEnd = end;
      }
      i = end;
    } else if (char === chars.colon) members++;
    else if (char === chars.brace || char === chars.bracket) {
      if (++depth > maxDepth) return { members, inexact, suspect: true };
    } else if (char === chars.endBrace || char === chars.endBracket) depth--;
    else if (char === chars.minus || isDigit(char)) {
      const end = endOfNumber(text, i + 1);
      const kind = kindOfNumber(text, i, end);
      if (kind === 'infinite') suspect = true;
      else if (kind === 'inexact' && !(depth === 1 && floats.has(text.slice(nameStart, nameEnd)))) inexact = true;
      i = end - 1;
    }
  }
  return { members, inexact, suspect };
}

/** The index of the quote that ends the string which begins at `start`, or the text's length. */
function endOfString(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); end !== -1; end = text.indexOf('"', end + 1)) {
    let slashes = 0;
    while (text.charCodeAt(end - 1 - slashes) === chars.backslash) slashes++;
    if (slashes % 2 === 0) return end;
  }
  return text.length;
}

function endOfNumber(text: string, start: number): number {
  let end = start;
  // Digits, dot, exponent and signs: enough where the text is JSON.
  for (let char = text.charCodeAt(end); isDigit(char) || char === chars.dot || char === chars.plus || char === chars.minus || isExponent(char);)
    char = text.charCodeAt(++end);
  return end;
}

function kindOfNumber(text: string, start: number, end: number): 'plain' | 'inexact' | 'infinite' {
  const written = end - start > 1 ? text.slice(start, end) : '0';
  if (!/[.eE]/.test(written)) return written.length <= exactDigits ? 'plain' : Number.isFinite(Number(written)) ? 'inexact' : 'infinite';
  const value = Number(written);
  if (!Number.isFinite(value)) return 'infinite';
  return Number.isInteger(value) ? 'inexact' : 'plain';
}

/** How many members the objects of a parsed value have in all. */
export function countMembers(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0;
  let count = 0;
  if (Array.isArray(value)) {
    for (const item of value) count += countMembers(item);
    return count;
  }
  const map = value as Readonly<Record<string, unknown>>;
  for (const name in map) count += 1 + countMembers(map[name]);
  return count;
}

const shortEscapes: Readonly<Record<string, string>> = { '\b': '\\b', '\t': '\\t', '\n': '\\n', '\f': '\\f', '\r': '\\r' };
const controls = /\p{Cc}/gu;

/** A text in which control characters inside strings are escaped: 1.6.1 forgives clients that forget to. */
export function escapeControls(text: string): string {
  let escaped = '';
  let copied = 0;
  for (let start = text.indexOf('"'); start !== -1;) {
    const end = endOfString(text, start);
    const inside = text.slice(start, end);
    if (inside.search(controls) !== -1) {
      escaped += text.slice(copied, start) + inside.replace(controls, escapeOf);
      copied = end;
    }
    start = text.indexOf('"', end + 1);
  }
  return escaped + text.slice(copied);
}

const escapeOf = (char: string): string =>
  char > '\u001f' ? char : (shortEscapes[char] ?? `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`);
