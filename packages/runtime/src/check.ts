import { DynamoError } from './error.ts';

/** Longest time that a timer of the platform can wait, in milliseconds; a longer one would be over at once. */
export const longestMs = 2_147_483_647;

/** What a number may be. */
export interface NumberRange {
  readonly least: number;
  readonly most: number;
  readonly whole?: boolean;
}

/** Milliseconds of a wait that has to have a length. */
export const someMs: NumberRange = { least: 1, most: longestMs };

/** The error for a value that can't be taken: it names the field, the value and what is expected. */
export function badValue(field: string, value: unknown, expected: string, limit?: number): DynamoError {
  return new DynamoError('invalid_argument', `${field}=${shown(value)}: expected ${expected}`, {
    data: { field, value, ...(limit === undefined ? {} : { limit }) },
  });
}

/** @throws DynamoError `invalid_argument` for what is no number of the range; undefined is let through. */
export function checkNumber(field: string, value: unknown, { least, most, whole = false }: NumberRange): void {
  if (value === undefined || (typeof value === 'number' && value >= least && value <= most && (!whole || Number.isInteger(value)))) return;
  const limit = typeof value === 'number' && value < least ? least : most;
  throw badValue(field, value, `a ${whole ? 'whole ' : ''}number from ${least} to ${most}`, limit);
}

/** @throws DynamoError `invalid_argument` for what is of another type; undefined is let through. */
export function checkType(field: string, value: unknown, type: 'string' | 'boolean' | 'bigint' | 'function' | 'object'): void {
  if (value === undefined || (typeof value === type && value !== null && !Array.isArray(value))) return;
  throw badValue(field, value, article(type));
}

/** @throws DynamoError `invalid_argument` for what is not one of the words; undefined is let through. */
export function checkWord(field: string, value: unknown, words: readonly string[]): void {
  if (value !== undefined && !words.includes(value as string)) throw badValue(field, value, `one of ${words.join(', ')}`);
}

/** @throws DynamoError `invalid_argument` for what is no object with these methods; undefined is let through. */
export function checkMethods(field: string, value: unknown, methods: readonly string[]): void {
  if (value === undefined) return;
  checkType(field, value, 'object');
  const missing = methods.find((method) => typeof (value as Record<string, unknown>)[method] !== 'function');
  if (missing !== undefined) throw badValue(`${field}.${missing}`, (value as Record<string, unknown>)[missing], 'a function');
}

/** @throws DynamoError `invalid_argument` for what is no object of texts; undefined is let through. */
export function checkTexts(field: string, value: unknown): void {
  if (value === undefined) return;
  checkType(field, value, 'object');
  for (const [name, text] of Object.entries(value as object)) if (typeof text !== 'string') throw badValue(`${field}.${name}`, text, 'a string');
}

/** @throws DynamoError `invalid_argument` for what is no AbortSignal; undefined is let through. */
export function checkSignal(field: string, value: unknown): void {
  if (value === undefined || value instanceof AbortSignal) return;
  throw badValue(field, value, 'an AbortSignal');
}

const article = (type: string): string => `${type === 'object' ? 'an' : 'a'} ${type}`;

function shown(value: unknown): string {
  if (typeof value === 'string') return value.length > 100 ? `'${value.slice(0, 100)}…'` : `'${value}'`;
  if (typeof value === 'bigint') return `${value}n`;
  if (typeof value === 'function') return 'a function';
  if (typeof value === 'symbol') return 'a symbol';
  if (typeof value !== 'object' || value === null) return String(value);
  return Array.isArray(value) ? 'an array' : 'an object';
}
