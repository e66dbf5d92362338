import { Float, Members } from '@dynamo/runtime/internal';

/**
 * How 1.6.1 prints a double in JSON and in JSON errors: always with a fraction or an exponent, and with an exponent from
 * 1e16 and below 1e-5 on.
 */
export function doubleText(value: number): string {
  if (value === 0) return Object.is(value, -0) ? '-0.0' : '0.0';
  if (!Number.isFinite(value)) return value > 0 ? 'inf' : value < 0 ? '-inf' : 'NaN';
  const [mantissa = '', exponentText = '0'] = value.toExponential().split('e');
  const exponent = Number(exponentText);
  if (exponent >= 16) return `${mantissa}e+${exponent}`;
  if (exponent < -5) return `${mantissa}e${exponent}`;
  const plain = decimalText(mantissa, exponent);
  return plain.includes('.') ? plain : `${plain}.0`;
}

/** How 1.6.1 prints a float32 in the messages of its rules: the shortest digits that read back, never an exponent. */
export function singleText(value: number): string {
  if (!Number.isFinite(value)) return value > 0 ? 'inf' : value < 0 ? '-inf' : 'NaN';
  if (value === 0) return Object.is(value, -0) ? '-0' : '0';
  return decimalText(...shortestSingle(value));
}

/** JSON of a float32 as 1.6.1 writes it: plain from 1e-6 to below 1e13, with an exponent outside, null where it is no number. */
export function singleJson(value: number): string {
  const single = Math.fround(value);
  if (!Number.isFinite(single)) return 'null';
  if (single === 0) return Object.is(single, -0) ? '-0.0' : '0.0';
  const [mantissa, exponent] = shortestSingle(single);
  if (exponent >= 13) return `${mantissa}e+${exponent}`;
  if (exponent < -6) return `${mantissa}e${exponent}`;
  const plain = decimalText(mantissa, exponent);
  return plain.includes('.') ? plain : `${plain}.0`;
}

/** The fewest digits that read back as the same float32, and their exponent. */
function shortestSingle(value: number): readonly [string, number] {
  for (let digits = 0; digits < 9; digits++) {
    const candidate = value.toExponential(digits);
    if (Math.fround(Number(candidate)) === value) return parts(candidate);
  }
  return parts(value.toExponential());
}

function parts(scientific: string): readonly [string, number] {
  const [mantissa = '', exponent = '0'] = scientific.split('e');
  return [mantissa, Number(exponent)];
}

/** Writes scientific notation out, without an exponent. */
function decimalText(mantissa: string, exponent: number): string {
  const sign = mantissa.startsWith('-') ? '-' : '';
  const [whole = '', fraction = ''] = mantissa.replace('-', '').split('.');
  const digits = whole + fraction;
  const point = whole.length + exponent;
  if (point <= 0) return `${sign}0.${'0'.repeat(-point)}${digits}`;
  if (point >= digits.length) return `${sign}${digits}${'0'.repeat(point - digits.length)}`;
  return `${sign}${digits.slice(0, point)}.${digits.slice(point)}`;
}

const escapes: Readonly<Record<string, string>> = { '"': '\\"', '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t', '\0': '\\0' };

/** A string in quotes with everything escaped that has no shape of its own, as 1.6.1 quotes a client's text. */
export function quoted(text: string): string {
  const body = text.replace(
    /["\\]|(?! )[\p{C}\p{Z}\p{Grapheme_Extend}]/gu,
    (char) => escapes[char] ?? `\\u{${(char.codePointAt(0) ?? 0).toString(16)}}`,
  );
  return `"${body}"`;
}

/** A JSON value as compact text, with floats as 1.6.1 writes them. */
export function jsonText(value: unknown): string {
  if (value instanceof Float) return doubleText(value.value);
  if (typeof value === 'bigint') return String(value);
  if (typeof value === 'number') return isInteger(value) ? String(value) : doubleText(value);
  if (Array.isArray(value)) return `[${value.map(jsonText).join(',')}]`;
  if (isMap(value)) {
    const members = entriesOf(value).map(([name, member]) => `${JSON.stringify(name)}:${jsonText(member)}`);
    return `{${members.join(',')}}`;
  }
  return JSON.stringify(value) ?? 'null';
}

/** A JSON value in the debug form that two of 1.6.1's messages use. */
export function debugText(value: unknown): string {
  if (value === null || value === undefined) return 'Null';
  if (typeof value === 'boolean') return `Bool(${value})`;
  if (typeof value === 'string') return `String(${quoted(value)})`;
  if (Array.isArray(value)) return `Array [${value.map(debugText).join(', ')}]`;
  if (isMap(value)) {
    const members = entriesOf(value).map(([name, member]) => `${quoted(name)}: ${debugText(member)}`);
    return `Object {${members.join(', ')}}`;
  }
  return `Number(${jsonText(value)})`;
}

/** Whether JSON's number was written as an integer; minus zero counts as a float, as it does in 1.6.1. */
export const isInteger = (value: unknown): value is number | bigint =>
  typeof value === 'bigint' || (typeof value === 'number' && Number.isInteger(value) && !Object.is(value, -0));

/** Whether a value read from JSON is an object. */
export const isMap = (value: unknown): value is Readonly<Record<string, unknown>> | Members =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Float);

/** An object's members in the order of the text. */
export const entriesOf = (value: Readonly<Record<string, unknown>> | Members): readonly (readonly [string, unknown])[] =>
  value instanceof Members ? value.entries : Object.entries(value);
