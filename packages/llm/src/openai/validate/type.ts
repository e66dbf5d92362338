import { Float } from '@dynamo/runtime/internal';
import { doubleText, isInteger, isMap, quoted } from '../spelling.ts';

/** How a value is looked at: `quick` takes only what needs no rewriting, `exact` takes all that 1.6.1 takes. */
export type Mode = 'quick' | 'exact';

/**
 * What a field of a request may hold.
 *
 * In quick mode a value of an unusual but valid form, such as a list in place of an object, counts as a mismatch: the
 * caller then looks again in exact mode and uses `usual`.
 */
export interface Type {
  /** What is wrong with a value, in the words of 1.6.1; undefined when nothing is. */
  mismatch(value: unknown, mode: Mode): string | undefined;
  /** A matching value in its usual form, floats as plain numbers. */
  usual(value: unknown): unknown;
  /** How the strict reader goes through it; absent for types that are read whole. */
  readonly inner?: Inner;
}

/** The inside of a type, for reading it piece by piece. */
export type Inner =
  | { readonly kind: 'option' | 'list' | 'map'; readonly of: Type }
  | { readonly kind: 'any' | 'union' | 'word' }
  | { readonly kind: 'struct'; readonly struct: StructShape };

/** The members of an object type. */
export interface StructShape {
  readonly name: string;
  readonly fields: ReadonlyMap<string, Field>;
  /** Further names of fields. */
  readonly aliases: ReadonlyMap<string, string>;
  /** Whether other members are refused. */
  readonly closed: boolean;
  /** What is wrong with all members together, told at the object's end; such an object can't be written as a list. */
  readonly complete?: ((members: Readonly<Record<string, unknown>>) => string | undefined) | undefined;
}

/** One member of an object type. */
export interface Field {
  readonly type: Type;
  /** What happens when it is missing: `null` members and members with a default may be, `required` ones may not. */
  readonly presence: 'required' | 'optional' | 'default';
}

/** Stands in for a mismatch that is none in exact mode. */
export const unusual = 'a valid value of unusual form';

/** How a value is named where another type was expected. */
function kindText(value: unknown): string {
  if (value === null) return 'null';
  if (typeof value === 'string') return `string ${quoted(value)}`;
  if (typeof value === 'boolean') return `boolean \`${value}\``;
  if (isInteger(value)) return `integer \`${value}\``;
  if (typeof value === 'number') return `floating point \`${doubleText(value)}\``;
  if (value instanceof Float) return `floating point \`${doubleText(value.value)}\``;
  return Array.isArray(value) ? 'sequence' : 'map';
}

/** The mismatch of a value whose type is not the expected one. */
export const wrongType = (value: unknown, expected: string): string => `invalid type: ${kindText(value)}, expected ${expected}`;

const same = (value: unknown): unknown => value;

/** Any value. */
export const any: Type = { mismatch: () => undefined, usual: same, inner: { kind: 'any' } };

/** True or false; `expected` is what the message says instead. */
export const boolean = (expected = 'a boolean'): Type => ({
  mismatch: (value) => (typeof value === 'boolean' ? undefined : wrongType(value, expected)),
  usual: same,
});

/** Text. */
export const text: Type = { mismatch: (value) => (typeof value === 'string' ? undefined : wrongType(value, 'a string')), usual: same };

const integer = (name: string, low: bigint, high: bigint): Type => ({
  mismatch(value) {
    if (!isInteger(value)) return wrongType(value, name);
    return value >= low && value <= high ? undefined : `invalid value: integer \`${value}\`, expected ${name}`;
  },
  usual: same,
});

/** Integers of the widths that requests use. */
export const u8: Type = integer('u8', 0n, 255n);
export const u32: Type = integer('u32', 0n, (1n << 32n) - 1n);
export const i32: Type = integer('i32', -(1n << 31n), (1n << 31n) - 1n);
export const u64: Type = integer('u64', 0n, (1n << 64n) - 1n);
/** A count or an index: as wide as u64, and named otherwise in messages. */
export const usize: Type = integer('usize', 0n, (1n << 64n) - 1n);
export const i64: Type = integer('i64', -(1n << 63n), (1n << 63n) - 1n);

const float = (name: string): Type => ({
  mismatch: (value) => (typeof value === 'number' || typeof value === 'bigint' || value instanceof Float ? undefined : wrongType(value, name)),
  usual: (value) => (value instanceof Float ? value.value : Number(value)),
});

/** Floats: integers are taken too. */
export const f32: Type = float('f32');
export const f64: Type = float('f64');

/** A value or null. */
export const option = (of: Type): Type => ({
  mismatch: (value, mode) => (value === null ? undefined : of.mismatch(value, mode)),
  usual: (value) => (value === null ? null : of.usual(value)),
  inner: { kind: 'option', of },
});

/** A list of one type. */
export const list = (of: Type): Type => ({
  mismatch(value, mode) {
    if (!Array.isArray(value)) return wrongType(value, 'a sequence');
    for (const item of value) {
      const wrong = of.mismatch(item, mode);
      if (wrong !== undefined) return wrong;
    }
    return undefined;
  },
  usual: (value) => (value as unknown[]).map((item) => of.usual(item)),
  inner: { kind: 'list', of },
});

/** A type that a test on the value narrows further; only for places where 1.6.1 says no more than that nothing matched. */
export const where = (of: Type, holds: (value: unknown) => boolean): Type => ({
  mismatch: (value, mode) => of.mismatch(value, mode) ?? (holds(value) ? undefined : 'no match'),
  usual: (value) => of.usual(value),
});

/** An object that may not be written as a list; for the same places. */
export const objectOnly = (of: Type): Type => ({
  ...of,
  mismatch: (value, mode) => (Array.isArray(value) ? 'no match' : of.mismatch(value, mode)),
});

/** The first of several types that matches; `name` is what the message says when none does. */
export const union = (name: string, ...types: readonly Type[]): Type => ({
  mismatch(value, mode) {
    for (const type of types) if (type.mismatch(value, mode) === undefined) return undefined;
    return `data did not match any variant of untagged enum ${name}`;
  },
  usual: (value) => types.find((type) => type.mismatch(value, 'exact') === undefined)?.usual(value) ?? value,
  inner: { kind: 'union' },
});

/** "`a`", "`a` or `b`" or "one of `a`, `b`, `c`". */
export function alternatives(names: readonly string[]): string {
  const ticked = names.map((name) => `\`${name}\``);
  if (ticked.length > 2) return `one of ${ticked.join(', ')}`;
  return ticked.join(' or ');
}

/** One of a set of words; 1.6.1 also takes an object whose only member has such a name and is null. */
export function word(...names: readonly string[]): Type {
  const known: ReadonlySet<unknown> = new Set(names);
  const unknown = (name: string): string | undefined =>
    known.has(name) ? undefined : `unknown variant \`${name}\`, expected ${alternatives(names)}`;
  return {
    mismatch(value, mode) {
      if (typeof value === 'string') return unknown(value);
      if (!isMap(value)) return wrongType(value, 'string or map');
      if (mode === 'quick') return unusual;
      const members = Object.entries(value);
      const [member] = members;
      if (member === undefined || members.length > 1) return 'invalid value: map, expected map with a single key';
      return unknown(member[0]) ?? (member[1] === null ? undefined : wrongType(member[1], 'unit'));
    },
    usual: (value) => (typeof value === 'string' ? value : Object.keys(value as object)[0]),
    inner: { kind: 'word' },
  };
}
