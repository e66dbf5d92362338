import { arrange, sign } from './arguments.ts';
import { stringMethods } from './string-methods.ts';
import { TemplateError } from './template-error.ts';
import { dictEntries, dictGet, dictHas, equals, isDict, type Named, tuple, wholeNumber } from './values.ts';

/** A method of a Python type. */
export type Method = (self: unknown, args: readonly unknown[], named: Named | undefined) => unknown;

type Dict = Parameters<typeof dictEntries>[0];

/** Defines a method by its parameters' names; `a?` may be left out. */
function method<Self>(name: string, parameters: readonly string[], run: (self: Self, ...args: readonly unknown[]) => unknown): [string, Method] {
  const signature = sign(parameters);
  return [name, (self, args, named) => run(self as Self, ...arrange(name, signature, args, named))];
}

const refused = (name: string, type: string): [string, Method] => [
  name,
  () => {
    throw new TemplateError(`access to attribute '${name}' of '${type}' object is unsafe`);
  },
];

/** A template may not change what it is given: transformers renders in an immutable sandbox. */
const dictMethods: ReadonlyMap<string, Method> = new Map([
  method<Dict>('get', ['key', 'default?'], (self, key, fallback) =>
    dictHas(self, key) ? dictGet(self, key) : fallback === undefined ? null : fallback,
  ),
  method<Dict>('items', [], (self) => dictEntries(self).map(([key, value]) => tuple(key, value))),
  method<Dict>('keys', [], (self) => dictEntries(self).map(([key]) => key)),
  method<Dict>('values', [], (self) => dictEntries(self).map(([, value]) => value)),
  method<Dict>('copy', [], (self) => new Map(dictEntries(self))),
  ...['clear', 'pop', 'popitem', 'setdefault', 'update'].map((name) => refused(name, 'dict')),
]);

const listMethods: ReadonlyMap<string, Method> = new Map([
  method<readonly unknown[]>('count', ['value'], (self, value) => self.filter((item) => equals(item, value)).length),
  method<readonly unknown[]>('index', ['value', 'start?', 'stop?'], indexOf),
  method<readonly unknown[]>('copy', [], (self) => [...self]),
  ...['append', 'clear', 'extend', 'insert', 'pop', 'remove', 'reverse', 'sort'].map((name) => refused(name, 'list')),
]);

function indexOf(self: readonly unknown[], value: unknown, start?: unknown, stop?: unknown): number {
  const from = start === undefined ? 0 : wholeNumber(start, 'start');
  const to = stop === undefined ? self.length : wholeNumber(stop, 'stop');
  const index = self.findIndex((item, at) => at >= from && at < to && equals(item, value));
  if (index < 0) throw new TemplateError('value is not in list');
  return index;
}

/** The methods of that name, one for each type that has it. */
export function methodsNamed(name: string): { text: Method | undefined; list: Method | undefined; dict: Method | undefined } {
  return { text: stringMethods.get(name), list: listMethods.get(name), dict: dictMethods.get(name) };
}

/** The method of that name of the value's type. */
export function methodOf(value: unknown, name: string): Method | undefined {
  if (typeof value === 'string') return stringMethods.get(name);
  if (Array.isArray(value)) return listMethods.get(name);
  return isDict(value) ? dictMethods.get(name) : undefined;
}
