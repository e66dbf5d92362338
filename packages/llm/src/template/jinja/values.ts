import { Float, float } from '@dynamo/runtime/internal';
import { TemplateError } from './template-error.ts';

/*
 * How Python's values look here: an undefined value is `undefined`, None is `null`, an int is a whole number or a bigint,
 * a float is a `Float` or a number with a fraction, a dict is a plain object (as JSON comes) or a Map (made by the
 * template), a list is an array, and whatever else a template can hold is an `Opaque` or a function of ours.
 */

/** A Python tuple: a list that prints with parentheses and equals no list. */
export class Tuple extends Array<unknown> {
  /** What is derived from a tuple by array methods is a list. */
  static override get [Symbol.species](): ArrayConstructor {
    return Array;
  }
}

/** Makes a tuple. */
export function tuple(...items: unknown[]): Tuple {
  const made = new Tuple();
  for (const item of items) made.push(item);
  return made;
}

/** An object that is neither number, text, list nor dict: attributes only as the class itself gives them. */
export abstract class Opaque {
  /** Python's name of the type. */
  abstract readonly typeName: string;
  /** The attribute, or `undefined`. */
  attribute(_name: string): unknown {
    return undefined;
  }
}

/** What a macro, a global function or a method is. */
export type Callable = (args: readonly unknown[], named: Named | undefined) => unknown;

/** Named arguments of a call. */
export type Named = ReadonlyMap<string, unknown>;

/** The result of Python filters that return a generator: always true, read once, without length. */
export class Generator extends Opaque {
  readonly typeName = 'generator';
  #items: readonly unknown[];

  constructor(items: readonly unknown[]) {
    super();
    this.#items = items;
  }

  /** Everything that is left; afterwards nothing is. */
  take(): readonly unknown[] {
    const items = this.#items;
    this.#items = [];
    return items;
  }

  /** The next item alone. */
  shift(): unknown {
    const [first, ...rest] = this.#items;
    this.#items = rest;
    return first;
  }
}

/** True for a dict of either make. */
export function isDict(value: unknown): value is Record<string, unknown> | Map<unknown, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Opaque) && !(value instanceof Float);
}

/** The member of a dict; a plain object's prototype is never looked at. */
export function dictGet(dict: Record<string, unknown> | Map<unknown, unknown>, key: unknown): unknown {
  if (dict instanceof Map) return dict.get(mapKey(key));
  return typeof key === 'string' && Object.hasOwn(dict, key) ? dict[key] : undefined;
}

/** True when a dict has the key. */
export function dictHas(dict: Record<string, unknown> | Map<unknown, unknown>, key: unknown): boolean {
  if (dict instanceof Map) return dict.has(mapKey(key));
  return typeof key === 'string' && Object.hasOwn(dict, key) && dict[key] !== undefined;
}

/** The members of a dict in order. */
export function dictEntries(dict: Record<string, unknown> | Map<unknown, unknown>): [unknown, unknown][] {
  if (dict instanceof Map) return [...dict];
  return Object.entries(dict).filter(([, value]) => value !== undefined);
}

/** The key of a Map for a Python key: `1`, `1.0` and `True` are the same one. */
export function mapKey(key: unknown): unknown {
  if (typeof key === 'string' || typeof key === 'number' || key === null || typeof key === 'function') return key;
  if (key instanceof Float) return key.value;
  if (typeof key === 'boolean') return Number(key);
  if (typeof key === 'bigint') return BigInt(Number(key)) === key ? Number(key) : key;
  if (key instanceof Tuple) return `(${key.map((item) => `${typeof item}:${String(mapKey(item))}`).join(',')})`;
  if (key instanceof Opaque || key === undefined) return key;
  throw new TemplateError(`unhashable type: '${typeName(key)}'`);
}

/** Python's name of a value's type, for messages. */
export function typeName(value: unknown): string {
  switch (typeof value) {
    case 'undefined':
      return 'Undefined';
    case 'boolean':
      return 'bool';
    case 'string':
      return 'str';
    case 'bigint':
      return 'int';
    case 'number':
      return Number.isInteger(value) ? 'int' : 'float';
    case 'function':
      return 'function';
    default:
  }
  if (value === null) return 'NoneType';
  if (value instanceof Float) return 'float';
  if (value instanceof Tuple) return 'tuple';
  if (Array.isArray(value)) return 'list';
  return value instanceof Opaque ? value.typeName : 'dict';
}

/** Python's truth. */
export function truthy(value: unknown): boolean {
  switch (typeof value) {
    case 'boolean':
      return value;
    case 'string':
      return value !== '';
    case 'undefined':
      return false;
    case 'number':
      return value !== 0;
    case 'bigint':
      return value !== 0n;
    case 'function':
      return true;
    default:
  }
  if (value === null) return false;
  if (Array.isArray(value)) return value.length > 0;
  if (value instanceof Map) return value.size > 0;
  if (value instanceof Float) return value.value !== 0;
  if (value instanceof Opaque) return true;
  for (const key in value as object) if (Object.hasOwn(value as object, key)) return true;
  return false;
}

const surrogate = /[\ud800-\udfff]/;

/** True when a text's UTF-16 units are its characters. */
export const isFlat = (text: string): boolean => !surrogate.test(text);

/** The items that a loop over the value visits: characters, list items or keys. */
export function iterate(value: unknown): readonly unknown[] {
  if (Array.isArray(value)) return value as readonly unknown[];
  if (value === undefined) return [];
  if (typeof value === 'string') return isFlat(value) ? value.split('') : Array.from(value);
  if (value instanceof Generator) return value.take();
  if (value instanceof Map) return dictEntries(value).map(([key]) => key);
  if (isDict(value)) return dictEntries(value).map(([key]) => key);
  throw new TemplateError(`'${typeName(value)}' object is not iterable`);
}

/** True for what `iterate` takes. */
export const isIterable = (value: unknown): boolean =>
  value === undefined || typeof value === 'string' || Array.isArray(value) || value instanceof Generator || isDict(value);

/** Python's `len`. */
export function lengthOf(value: unknown): number {
  if (typeof value === 'string') return isFlat(value) ? value.length : Array.from(value).length;
  if (Array.isArray(value)) return value.length;
  if (value === undefined) return 0;
  if (value instanceof Map) return value.size;
  if (isDict(value)) return dictEntries(value).length;
  throw new TemplateError(`object of type '${typeName(value)}' has no len()`);
}

/** A number as Python's arithmetic sees it. */
export interface Numeric {
  readonly value: number | bigint;
  readonly isFloat: boolean;
}

/** The value as a number, or `undefined`. Booleans count. */
export function numeric(value: unknown): Numeric | undefined {
  if (typeof value === 'number') return { value, isFloat: !Number.isInteger(value) };
  if (value instanceof Float) return { value: value.value, isFloat: true };
  if (typeof value === 'bigint') return { value, isFloat: false };
  return typeof value === 'boolean' ? { value: Number(value), isFloat: false } : undefined;
}

/** A Python float. */
export const makeFloat = (value: number): unknown => (Number.isInteger(value) ? float(value) : value);

/** A Python int, as number where that is exact. */
export const makeInteger = (value: bigint): number | bigint =>
  value <= Number.MAX_SAFE_INTEGER && value >= Number.MIN_SAFE_INTEGER ? Number(value) : value;

/** The value as a whole number that indexes or counts, or an error that names its use. */
export function wholeNumber(value: unknown, use: string): number {
  if (typeof value === 'number' && Number.isInteger(value)) return value;
  if (typeof value === 'boolean' || typeof value === 'bigint') return Number(value);
  throw new TemplateError(`${use} must be an integer, not ${typeName(value)}`);
}

/** The value as text, or an error that names its use. */
export function textOf(value: unknown, use: string): string {
  if (typeof value === 'string') return value;
  throw new TemplateError(`${use} must be str, not ${typeName(value)}`);
}

/** Python's `==`. */
export function equals(a: unknown, b: unknown, depth = 0): boolean {
  if (a === b) return true;
  if (typeof a === 'string' || typeof b === 'string' || a === undefined || b === undefined || a === null || b === null) return false;
  if (depth > 200) throw new TemplateError('values are nested too deep to compare');
  const left = numeric(a);
  if (left !== undefined) {
    const right = numeric(b);
    // Loosely, since a number and a bigint of one value are equal.
    return right !== undefined && left.value == right.value;
  }
  if (Array.isArray(a)) return Array.isArray(b) && a instanceof Tuple === b instanceof Tuple && sameItems(a, b, depth);
  if (!isDict(a) || !isDict(b)) return false;
  const entries = dictEntries(a);
  return entries.length === lengthOf(b) && entries.every(([key, value]) => dictHas(b, key) && equals(value, dictGet(b, key), depth + 1));
}

const sameItems = (a: readonly unknown[], b: readonly unknown[], depth: number): boolean =>
  a.length === b.length && a.every((item, index) => equals(item, b[index], depth + 1));

/** Python's order: negative, zero or positive; texts by code point. */
export function order(a: unknown, b: unknown): number {
  if (typeof a === 'string' && typeof b === 'string') return orderTexts(a, b);
  const left = numeric(a);
  const right = numeric(b);
  if (left !== undefined && right !== undefined) return orderNumbers(left.value, right.value);
  if (Array.isArray(a) && Array.isArray(b)) return orderItems(a, b);
  throw new TemplateError(`'${typeName(a)}' and '${typeName(b)}' can't be put in order`);
}

/** NaN is neither smaller nor larger nor equal. */
function orderNumbers(a: number | bigint, b: number | bigint): number {
  if (a < b) return -1;
  if (a > b) return 1;
  return a == b ? 0 : Number.NaN;
}

function orderTexts(a: string, b: string): number {
  if (isFlat(a) && isFlat(b)) return a < b ? -1 : a > b ? 1 : 0;
  return orderItems(
    Array.from(a, (sign) => sign.codePointAt(0)),
    Array.from(b, (sign) => sign.codePointAt(0)),
  );
}

function orderItems(a: readonly unknown[], b: readonly unknown[]): number {
  for (let i = 0; i < a.length && i < b.length; i++) if (!equals(a[i], b[i])) return order(a[i], b[i]);
  return a.length - b.length;
}

/** Python's `in`. */
export function contains(container: unknown, item: unknown): boolean {
  if (typeof container === 'string') return container.includes(textOf(item, "left operand of 'in'"));
  if (Array.isArray(container)) return container.some((member) => equals(member, item));
  if (container === undefined) return false;
  if (container instanceof Generator) return container.take().some((member) => equals(member, item));
  if (isDict(container)) return dictHas(container, item);
  throw new TemplateError(`argument of type '${typeName(container)}' is not iterable`);
}
