/**
 * A JSON text in the form that 1.6.1 writes: without spaces, strings in their shortest spelling, integers as they stand and
 * other numbers in the shortest form that reads back the same. Undefined if it is none.
 */
export function compactJson(text: string): string | undefined {
  if (!isJson(text)) return undefined;
  return text.replace(/"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|\s+/gs, (part) => {
    if (part.startsWith('"')) return part.includes('\\') ? JSON.stringify(JSON.parse(part)) : part;
    return part.trim() === '' ? '' : numberText(part);
  });
}

/** Integers that 1.6.1 keeps as such. */
const integers = { least: -(2n ** 63n), most: 2n ** 64n - 1n };

/** A JSON number as 1.6.1 writes it: `1.50` as `1.5`, `1e5` as `100000.0`. */
export function numberText(written: string): string {
  if (/^-?\d{1,40}$/.test(written) && written !== '-0' && BigInt(written) >= integers.least && BigInt(written) <= integers.most) return written;
  const value = Number(written);
  if (!Number.isFinite(value)) return written;
  if (value === 0) return Object.is(value, -0) ? '-0.0' : '0.0';
  const [digits = '', exponent = ''] = value.toExponential().split('e');
  const power = Number(exponent);
  if (power >= 16 || power < -5) return `${digits}e${exponent}`;
  const plain = power < 0 ? value.toFixed(digits.replace(/^-?\d\.?/, '').length - power) : String(value);
  return plain.includes('.') ? plain : `${plain}.0`;
}

/** Whether a text is a JSON value. */
export function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** A member of an object, or an entry of a list, as its own text. */
export interface JsonPart {
  /** Absent in lists. */
  readonly name?: string;
  readonly text: string;
}

/** The parts of a valid JSON object or list, each as it is written there. */
export function partsOf(json: string): readonly JsonPart[] {
  const parts: JsonPart[] = [];
  const isObject = json.trimStart().startsWith('{');
  const begin = json.indexOf(isObject ? '{' : '[') + 1;
  let depth = 0;
  let from = begin;
  let name: string | undefined;
  const take = (to: number): void => {
    const text = json.slice(from, to).trim();
    if (text !== '') parts.push(name === undefined ? { text } : { name, text });
    name = undefined;
    from = to + 1;
  };
  for (let at = begin; at < json.length; at++) {
    const char = json[at];
    if (char === '"') {
      const end = stringEnd(json, at);
      if (isObject && depth === 0 && name === undefined) {
        name = JSON.parse(json.slice(at, end)) as string;
        at = json.indexOf(':', end);
        from = at + 1;
      } else at = end - 1;
    } else if (char === '{' || char === '[') depth++;
    else if (char === '}' || char === ']') {
      if (depth === 0) {
        take(at);
        break;
      }
      depth--;
    } else if (char === ',' && depth === 0) take(at);
  }
  return parts;
}

/** Index behind the string that begins at `at`. */
function stringEnd(json: string, at: number): number {
  for (let end = at + 1; ; end++) {
    const char = json[end];
    if (char === '\\') end++;
    else if (char === '"' || char === undefined) return end + 1;
  }
}
