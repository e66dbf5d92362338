import { decodeJson, JsonFault, JsonReader } from '@dynamo/runtime/internal';
import { object } from './members.ts';

/** What a body, or a part of it, must be: read quickly when it is right, and slowly to say in the words of 1.6.1 what is wrong. */
export interface Shape<T> {
  /** The value in our own terms; undefined when it does not fit. Never undefined for one that fits. */
  read(value: unknown): T | undefined;
  /** Passes over a value that is read anew; throws a `BodyFault` at what does not fit. */
  explain(reader: JsonReader, path: string): void;
}

/** A body that does not fit: broken JSON, or JSON of another shape. */
export class BodyFault extends Error {
  override readonly name = 'BodyFault';
  readonly kind: 'syntax' | 'shape';
  constructor(kind: 'syntax' | 'shape', message: string) {
    super(message);
    this.kind = kind;
  }
}

/**
 * Reads a body.
 *
 * @throws BodyFault with the message of 1.6.1, which names the place.
 */
export function readBody<T>(text: string, shape: Shape<T>): T {
  let value: unknown;
  try {
    value = decodeJson(text);
  } catch {
    throw explain(text, shape);
  }
  const read = shape.read(value);
  if (read === undefined) throw explain(text, shape);
  return read;
}

class Misfit extends JsonFault {}

function explain(text: string, shape: Shape<unknown>): BodyFault {
  const reader = new JsonReader(text);
  try {
    shape.explain(reader, '');
    reader.end();
  } catch (error) {
    if (error instanceof Misfit) return new BodyFault('shape', `Failed to deserialize the JSON body into the target type: ${error.describe(text)}`);
    if (error instanceof JsonFault) return new BodyFault('syntax', `Failed to parse the request body as JSON: ${error.describe(text)}`);
    throw error;
  }
  return new BodyFault('shape', 'Failed to deserialize the JSON body into the target type');
}

const misfit = (reader: JsonReader, path: string, message: string): Misfit => new Misfit(path === '' ? message : `${path}: ${message}`, reader.index);

/** What a value is called where another kind was expected. */
function kindOf(value: unknown): string {
  if (value === null || value === undefined) return 'null';
  if (typeof value === 'string') return `string ${JSON.stringify(value)}`;
  if (typeof value === 'boolean') return `boolean \`${value}\``;
  if (typeof value === 'number' || typeof value === 'bigint') return `integer \`${value}\``;
  if (Array.isArray(value)) return 'sequence';
  const float: unknown = Reflect.get(value as object, 'value');
  return typeof float === 'number' ? `floating point \`${float}\`` : 'map';
}

function scalar<T>(expected: string, read: (value: unknown) => T | undefined, inRange: (value: unknown) => boolean = () => false): Shape<T> {
  return {
    read,
    explain(reader, path) {
      const value = reader.value();
      if (read(plain(value)) !== undefined) return;
      const kind = inRange(value) ? 'value' : 'type';
      throw misfit(reader, path, `invalid ${kind}: ${kindOf(value)}, expected ${expected}`);
    },
  };
}

/** The strict reader keeps floats apart from integers. */
function plain(value: unknown): unknown {
  const float: unknown = typeof value === 'object' && value !== null ? Reflect.get(value, 'value') : undefined;
  return typeof float === 'number' ? float : value;
}

const isInteger = (value: unknown): boolean => typeof value === 'bigint' || (typeof value === 'number' && Number.isInteger(value));

/** Text. */
export const text: Shape<string> = scalar('a string', (value) => (typeof value === 'string' ? value : undefined));
/** True or false. */
export const truth: Shape<boolean> = scalar('a boolean', (value) => (typeof value === 'boolean' ? value : undefined));
/** Any number. */
export const number: Shape<number> = scalar('f64', (value) =>
  typeof value === 'number' ? value : typeof value === 'bigint' ? Number(value) : undefined,
);
/** A 64-bit id. */
export const u64: Shape<bigint> = integer('u64', 0n, (1n << 64n) - 1n);
/** A hash as the services of 1.6.1 write it: a signed 64-bit integer. */
export const signedHash: Shape<bigint> = {
  ...integer('i64', -(1n << 63n), (1n << 63n) - 1n),
  read: (value) => {
    const signed = integer('i64', -(1n << 63n), (1n << 63n) - 1n).read(value);
    return signed === undefined ? undefined : BigInt.asUintN(64, signed);
  },
};
/** A 32-bit count. */
export const u32: Shape<number> = smallInteger('u32', 0xffff_ffff);
/** A count. */
export const usize: Shape<number> = smallInteger('usize', Number.MAX_SAFE_INTEGER);

/** One of some words. */
export function variant<W extends string>(...words: readonly W[]): Shape<W> {
  const read = (value: unknown): W | undefined => words.find((word) => word === value);
  const expected = words.map((word) => `\`${word}\``).join(' or ');
  return {
    read,
    explain(reader, path) {
      const value = reader.value();
      if (typeof value !== 'string') throw misfit(reader, path, `invalid type: ${kindOf(value)}, expected string or map`);
      if (read(value) === undefined) throw misfit(reader, path, `unknown variant \`${value}\`, expected ${expected}`);
    },
  };
}

function integer(name: string, least: bigint, most: bigint): Shape<bigint> {
  const read = (value: unknown): bigint | undefined => {
    if (!isInteger(value)) return undefined;
    const whole = BigInt(value as number | bigint);
    return whole >= least && whole <= most ? whole : undefined;
  };
  return scalar(name, read, isInteger);
}

function smallInteger(name: string, most: number): Shape<number> {
  return scalar(
    name,
    (value) => (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= most ? value : undefined),
    isInteger,
  );
}

/** A list; `expected` is what messages call it. */
export function list<T>(of: Shape<T>, expected = 'a sequence'): Shape<T[]> {
  return {
    read(value) {
      if (!Array.isArray(value)) return undefined;
      const out: T[] = [];
      for (const item of value) {
        const read = of.read(item);
        if (read === undefined) return undefined;
        out.push(read);
      }
      return out;
    },
    explain(reader, path) {
      if (reader.peek() !== 0x5b) throw wrongKind(reader, path, expected);
      reader.enter();
      let at = 0;
      for (let more = reader.nextItem(true); more; more = reader.nextItem(false)) of.explain(reader, `${path}[${at++}]`);
      reader.leave();
    },
  };
}

/** A map from any name to values of one shape. */
export function mapOf<T>(of: Shape<T>): Shape<ReadonlyMap<string, T>> {
  return {
    read(value) {
      const members = object(value);
      if (members === undefined) return undefined;
      const out = new Map<string, T>();
      for (const [name, member] of Object.entries(members)) {
        const read = of.read(member);
        if (read === undefined) return undefined;
        out.set(name, read);
      }
      return out;
    },
    explain(reader, path) {
      if (reader.peek() !== 0x7b) throw wrongKind(reader, path, 'a map');
      reader.enter();
      for (let name = reader.nextName(true); name !== undefined; name = reader.nextName(false)) {
        reader.afterName();
        of.explain(reader, path === '' ? name : `${path}.${name}`);
      }
      reader.leave();
    },
  };
}

function wrongKind(reader: JsonReader, path: string, expected: string): Misfit {
  const value = reader.value();
  return misfit(reader, path, `invalid type: ${kindOf(value)}, expected ${expected}`);
}

/** One member of an object. */
export interface Member<T> {
  readonly shape: Shape<unknown>;
  readonly presence: 'required' | 'optional' | 'default';
  readonly fallback?: () => T;
}

/** May be absent or null. */
export const maybe = <T>(shape: Shape<T>): Member<T | undefined> => ({ shape, presence: 'optional' });
/** May be absent, and then is this. */
export const otherwise = <T>(shape: Shape<T>, fallback: () => T): Member<T> => ({ shape, presence: 'default', fallback });

type Snake<S extends string> = S extends `${infer C}${infer R}` ? `${C extends Lowercase<C> ? C : `_${Lowercase<C>}`}${Snake<R>}` : S;

/** The members of an object under their wire names, in the order of the real type. */
export type Fields<T> = { readonly [K in keyof T & string as Snake<K>]-?: Shape<NonNullable<T[K]>> | Member<T[K]> };

/** An object with these members, which get names in our own spelling; others are ignored. */
export function struct<T extends object>(name: string, fields: Fields<T>): Shape<T> {
  const members = Object.entries<Shape<unknown> | Member<unknown>>(fields as never).map(([wire, field]) => {
    const member: Member<unknown> = 'presence' in field ? field : { shape: field, presence: 'required' };
    return { wire, own: wire.replaceAll(/_(\w)/g, (_, letter: string) => letter.toUpperCase()), ...member };
  });
  const byName = new Map(members.map((member) => [member.wire, member]));
  return {
    read(value) {
      const given = object(value);
      if (given === undefined) return undefined;
      const out: Record<string, unknown> = {};
      for (const { wire, own, shape, presence, fallback } of members) {
        const raw = given[wire];
        const absent = raw === undefined || (raw === null && presence === 'optional');
        if (absent && presence === 'required') return undefined;
        const read = absent ? fallback?.() : shape.read(raw);
        if (!absent && read === undefined) return undefined;
        out[own] = read;
      }
      return out as T;
    },
    explain(reader, path) {
      if (reader.peek() === 0x5b) {
        const given = reader.value() as unknown[];
        throw misfit(
          reader,
          path,
          `invalid length ${given.length}, expected struct ${name} with ${members.length} element${members.length === 1 ? '' : 's'}`,
        );
      }
      if (reader.peek() !== 0x7b) throw wrongKind(reader, path, `struct ${name}`);
      reader.enter();
      const seen = new Set<string>();
      for (let key = reader.nextName(true); key !== undefined; key = reader.nextName(false)) {
        const member = byName.get(key);
        if (member !== undefined && seen.has(key)) throw misfit(reader, path, `duplicate field \`${key}\``);
        seen.add(key);
        reader.afterName();
        if (member === undefined || (member.presence === 'optional' && reader.peek() === 0x6e)) reader.value();
        else member.shape.explain(reader, path === '' ? key : `${path}.${key}`);
      }
      reader.leave();
      const missing = members.find(({ wire, presence }) => presence === 'required' && !seen.has(wire));
      if (missing !== undefined) throw misfit(reader, path, `missing field \`${missing.wire}\``);
    },
  };
}
