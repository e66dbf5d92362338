import { Float } from '@dynamo/runtime/internal';
import { operate } from './operators.ts';
import { contains, equals, isDict, isIterable, numeric, order } from './values.ts';

/** What stands behind `is`. */
export type Test = (value: unknown, ...args: readonly unknown[]) => boolean;

const isInteger = (value: unknown): boolean => typeof value === 'bigint' || (typeof value === 'number' && Number.isInteger(value));
const isFloat = (value: unknown): boolean => value instanceof Float || (typeof value === 'number' && !Number.isInteger(value));
const remainder = (value: unknown, by: unknown): boolean => equals(operate('%', value, by), 0);
const isText = (value: unknown): value is string => typeof value === 'string';
const hasCase = (text: string): boolean => text.toLowerCase() !== text.toUpperCase();

/** Python's `is`: the same object, or the same small value. */
const isSame = (a: unknown, b: unknown): boolean => a === b || (a instanceof Float && b instanceof Float && Object.is(a.value, b.value));

const table: Readonly<Record<string, Test>> = {
  boolean: (value) => typeof value === 'boolean',
  callable: (value) => typeof value === 'function',
  defined: (value) => value !== undefined,
  divisibleby: remainder,
  eq: (value, other) => equals(value, other),
  escaped: () => false,
  even: (value) => remainder(value, 2),
  false: (value) => value === false,
  float: isFloat,
  ge: (value, other) => order(value, other) >= 0,
  gt: (value, other) => order(value, other) > 0,
  in: (value, container) => contains(container, value),
  integer: isInteger,
  iterable: isIterable,
  le: (value, other) => order(value, other) <= 0,
  lower: (value) => isText(value) && hasCase(value) && value === value.toLowerCase(),
  lt: (value, other) => order(value, other) < 0,
  mapping: isDict,
  ne: (value, other) => !equals(value, other),
  none: (value) => value === null,
  number: (value) => numeric(value) !== undefined,
  odd: (value) => equals(operate('%', value, 2), 1),
  sameas: isSame,
  sequence: (value) => value === undefined || isText(value) || Array.isArray(value) || isDict(value),
  string: isText,
  true: (value) => value === true,
  undefined: (value) => value === undefined,
  upper: (value) => isText(value) && hasCase(value) && value === value.toUpperCase(),
};

const aliases: Readonly<Record<string, string>> = {
  equalto: 'eq',
  '==': 'eq',
  '!=': 'ne',
  greaterthan: 'gt',
  '>': 'gt',
  '>=': 'ge',
  lessthan: 'lt',
  '<': 'lt',
  '<=': 'le',
};

/** Jinja2's tests by name. */
export const tests: ReadonlyMap<string, Test> = new Map<string, Test>([
  ...Object.entries(table),
  ...Object.entries(aliases).map(([alias, name]): [string, Test] => [alias, table[name] as Test]),
]);
