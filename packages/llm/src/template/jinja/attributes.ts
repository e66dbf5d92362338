import { Float } from '@dynamo/runtime/internal';
import { methodOf } from './methods.ts';
import { TemplateError } from './template-error.ts';
import { type Callable, dictGet, isDict, isFlat, Opaque, Tuple, tuple } from './values.ts';

/**
 * Jinja2's `value.name`: a method of the type first, then a dict's member.
 *
 * Nothing of JavaScript is reachable: only own members of plain objects, and methods of our own tables.
 */
export function getAttribute(value: unknown, name: string): unknown {
  if (value === undefined) throw new TemplateError(`'undefined' has no attribute '${name}'`);
  if (value instanceof Opaque) return value.attribute(name);
  const method = methodOf(value, name);
  if (method !== undefined) return bind(value, method, name);
  return isDict(value) ? dictGet(value, name) : undefined;
}

/** Jinja2's `value[key]`: a member first, then an attribute of that name. */
export function getItem(value: unknown, key: unknown): unknown {
  if (value === undefined)
    throw new TemplateError(`an undefined value has no element ${String(typeof key === 'string' ? `'${key}'` : '')}`.trimEnd());
  if (isDict(value)) {
    const member = isKey(key) ? dictGet(value, key) : undefined;
    if (member !== undefined || typeof key !== 'string') return member;
  } else {
    const index = typeof key === 'number' && Number.isInteger(key) ? key : typeof key === 'boolean' ? Number(key) : undefined;
    if (index !== undefined && Array.isArray(value)) return value[index < 0 ? value.length + index : index] as unknown;
    if (index !== undefined && typeof value === 'string') return character(value, index);
  }
  return typeof key === 'string' ? getAttribute(value, key) : undefined;
}

const isKey = (key: unknown): boolean =>
  key === null || typeof key !== 'object' || key instanceof Float || key instanceof Tuple || key instanceof Opaque;

function character(text: string, index: number): string | undefined {
  const signs = isFlat(text) ? text : Array.from(text);
  return signs[index < 0 ? signs.length + index : index];
}

function bind(value: unknown, method: NonNullable<ReturnType<typeof methodOf>>, name: string): Callable {
  const bound: Callable = (args, named) => method(value, args, named);
  Object.defineProperty(bound, 'name', { value: name });
  return bound;
}

/** Python's `value[start:stop:step]`. */
export function slice(value: unknown, bounds: readonly unknown[]): unknown {
  // The sandbox answers what can't be sliced with an undefined value.
  if ((typeof value !== 'string' && !Array.isArray(value)) || !bounds.every(isBound)) return undefined;
  const [start, stop, step] = bounds.map(toIndex);
  const stride = step ?? 1;
  if (stride === 0) throw new TemplateError('slice step cannot be zero');
  const items: string | readonly unknown[] = typeof value === 'string' && !isFlat(value) ? Array.from(value) : value;
  const { length } = items;
  const from = clamp(start, stride > 0 ? 0 : length - 1, { length, stride });
  const to = clamp(stop, stride > 0 ? length : -1, { length, stride });
  if (stride === 1) return same(value, items.slice(from, Math.max(from, to)));
  const picked: unknown[] = [];
  for (let i = from; stride > 0 ? i < to : i > to; i += stride) picked.push(items[i]);
  return same(value, picked);
}

const same = (original: unknown, part: string | readonly unknown[]): unknown => {
  if (typeof original === 'string') return typeof part === 'string' ? part : part.join('');
  return original instanceof Tuple ? tuple(...(part as readonly unknown[])) : part;
};

const isBound = (value: unknown): boolean =>
  value === null || typeof value === 'boolean' || typeof value === 'bigint' || (typeof value === 'number' && Number.isInteger(value));

const toIndex = (value: unknown): number | undefined => (value === null ? undefined : Number(value));

function clamp(value: number | undefined, usual: number, { length, stride }: { length: number; stride: number }): number {
  if (value === undefined) return usual;
  const index = value < 0 ? value + length : value;
  if (stride > 0) return Math.min(Math.max(index, 0), length);
  return Math.min(Math.max(index, -1), length - 1);
}

/** The value at the end of a dotted path, as filters take it in `attribute=`; the default stands in at each step. */
export function getPath(value: unknown, path: unknown, fallback?: unknown): unknown {
  const steps = typeof path === 'string' ? path.split('.').map((step) => (/^\d+$/.test(step) ? Number(step) : step)) : [path];
  let current = value;
  for (const step of steps) {
    const next = getItem(current, step);
    current = next === undefined && fallback !== null ? fallback : next;
  }
  return current;
}
