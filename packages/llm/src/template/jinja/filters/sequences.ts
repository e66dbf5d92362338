import { getAttribute, getPath } from '../attributes.ts';
import { add } from '../operators.ts';
import { print } from '../print.ts';
import { checkText, TemplateError } from '../template-error.ts';
import { tests } from '../tests.ts';
import { dictEntries, equals, Generator, isDict, iterate, lengthOf, mapKey, order, textOf, truthy, tuple, typeName, wholeNumber } from '../values.ts';
import { filter, type Filter } from './filter.ts';

const lower = (value: unknown): unknown => (typeof value === 'string' ? value.toLowerCase() : value);

/** What items are compared by: an attribute or the item itself, in lower case unless case counts. */
function keyOf(attribute: unknown, caseSensitive: unknown): (item: unknown) => unknown {
  const fold = truthy(caseSensitive) ? (value: unknown): unknown => value : lower;
  return attribute === undefined || attribute === null ? fold : (item) => fold(getPath(item, attribute));
}

function sort(value: unknown, reverse: unknown, caseSensitive: unknown, attribute: unknown): unknown[] {
  const paths = typeof attribute === 'string' ? attribute.split(',') : [attribute];
  const keys = paths.map((path) => keyOf(path, caseSensitive));
  const compare = (a: unknown, b: unknown): number => {
    for (const key of keys) {
      const [left, right] = [key(a), key(b)];
      if (!equals(left, right)) return order(left, right);
    }
    return 0;
  };
  return iterate(value).toSorted(truthy(reverse) ? (a, b) => compare(b, a) : compare);
}

function dictsort(value: unknown, caseSensitive: unknown, by: unknown = 'key', reverse: unknown = false): unknown[] {
  if (!isDict(value)) throw new TemplateError(`dictsort needs a dict, not ${typeName(value)}`);
  const place = { key: 0, value: 1 }[textOf(by, 'by')];
  if (place === undefined) throw new TemplateError('You can only sort by either "key" or "value"');
  const pairs = dictEntries(value).map(([key, member]) => tuple(key, member));
  return sort(pairs, reverse, caseSensitive, place);
}

function unique(value: unknown, caseSensitive: unknown, attribute: unknown): Generator {
  const key = keyOf(attribute, caseSensitive);
  const seen = new Set<unknown>();
  return new Generator(
    iterate(value).filter((item) => {
      const mark = mapKey(key(item));
      return !seen.has(mark) && seen.add(mark);
    }),
  );
}

function extreme(value: unknown, direction: 1 | -1, key: (item: unknown) => unknown): unknown {
  return iterate(value).reduce((best, item, index) => (index === 0 || order(key(item), key(best)) * direction > 0 ? item : best), undefined);
}

function groupby(value: unknown, attribute: unknown, fallback: unknown, caseSensitive: unknown): unknown[] {
  const key = (item: unknown): unknown => {
    const found = getPath(item, attribute, fallback);
    return truthy(caseSensitive) ? found : lower(found);
  };
  const groups: { key: unknown; items: unknown[] }[] = [];
  for (const item of iterate(value).toSorted((a, b) => order(key(a), key(b)))) {
    const last = groups.at(-1);
    if (last !== undefined && equals(last.key, key(item))) last.items.push(item);
    else groups.push({ key: key(item), items: [item] });
  }
  return groups.map(({ items }) => tuple(getPath(items[0], attribute, fallback), items));
}

function batch(value: unknown, size: unknown, fill: unknown): Generator {
  const count = Math.max(1, wholeNumber(size, 'linecount'));
  const items = iterate(value);
  const rows: unknown[][] = [];
  for (let at = 0; at < items.length; at += count) rows.push(items.slice(at, at + count));
  const last = rows.at(-1);
  if (fill !== undefined && fill !== null && last !== undefined) checkText(count);
  while (fill !== undefined && fill !== null && last !== undefined && last.length < count) last.push(fill);
  return new Generator(rows);
}

function slices(value: unknown, count: unknown, fill: unknown): Generator {
  const parts = wholeNumber(count, 'slices');
  if (parts < 1) throw new TemplateError('slices must be positive');
  checkText(parts);
  const items = iterate(value);
  const each = Math.floor(items.length / parts);
  const extra = items.length % parts;
  let at = 0;
  const rows = Array.from({ length: parts }, (_, index) => {
    const row = items.slice(at, (at += each + (index < extra ? 1 : 0)));
    return fill !== undefined && fill !== null && index >= extra && extra > 0 ? [...row, fill] : row;
  });
  return new Generator(rows);
}

function join(value: unknown, separator: unknown = '', attribute?: unknown): string {
  const texts = iterate(value).map((item) => print(attribute === undefined || attribute === null ? item : getPath(item, attribute)));
  const mark = print(separator);
  checkText(texts.reduce((sum, text) => sum + text.length + mark.length, 0));
  return texts.join(mark);
}

function reverse(value: unknown): unknown {
  const items = iterate(value).toReversed();
  return typeof value === 'string' ? items.join('') : new Generator(items);
}

function last(value: unknown): unknown {
  if (value instanceof Generator) throw new TemplateError("'generator' object is not reversible");
  return iterate(value).at(-1);
}

function sum(value: unknown, attribute: unknown, start: unknown = 0): unknown {
  return iterate(value).reduce((total, item) => add(total, attribute === undefined || attribute === null ? item : getPath(item, attribute)), start);
}

/** Keeps or drops the items that pass a test; without one, those that are true. */
function choose(keep: boolean, byAttribute: boolean): Filter {
  return (value, args, named) => {
    // What is false as a condition has no items, whatever the arguments are (Jinja2 3.1.6).
    if (!truthy(value)) return new Generator([]);
    if (byAttribute && args.length === 0) throw new TemplateError('Missing parameter for attribute name');
    const [name, ...rest] = byAttribute ? args.slice(1) : args;
    const test = name === undefined ? truthy : tests.get(textOf(name, 'test name'));
    if (test === undefined) throw new TemplateError(`no test named '${print(name)}'`);
    if (named !== undefined && named.size > 0) throw new TemplateError('a test takes no named arguments');
    const items = iterate(value);
    return new Generator(items.filter((item) => test(byAttribute ? getPath(item, args[0]) : item, ...rest) === keep));
  };
}

/** Jinja2's filters on lists and dicts. */
export const sequenceFilters: readonly [string, Filter][] = [
  filter('attr', ['name'], (value, name) => getAttributeOnly(value, name)),
  filter('batch', ['linecount', 'fill_with?'], batch),
  filter('count', [], lengthOf),
  filter('d', ['default_value?', 'boolean?'], orDefault),
  filter('default', ['default_value?', 'boolean?'], orDefault),
  filter('dictsort', ['case_sensitive?', 'by?', 'reverse?'], dictsort),
  filter('first', [], (value) => (value instanceof Generator ? value.shift() : iterate(value)[0])),
  filter('groupby', ['attribute', 'default?', 'case_sensitive?'], groupby),
  filter('items', [], (value) => new Generator(value === undefined ? [] : pairsOf(value))),
  filter('join', ['d?', 'attribute?'], join),
  filter('last', [], last),
  filter('length', [], lengthOf),
  filter('list', [], (value) => [...iterate(value)]),
  filter('max', ['case_sensitive?', 'attribute?'], (value, caseSensitive, attribute) => extreme(value, 1, keyOf(attribute, caseSensitive))),
  filter('min', ['case_sensitive?', 'attribute?'], (value, caseSensitive, attribute) => extreme(value, -1, keyOf(attribute, caseSensitive))),
  ['reject', choose(false, false)],
  ['rejectattr', choose(false, true)],
  filter('reverse', [], reverse),
  ['select', choose(true, false)],
  ['selectattr', choose(true, true)],
  filter('slice', ['slices', 'fill_with?'], slices),
  filter('sort', ['reverse?', 'case_sensitive?', 'attribute?'], sort),
  filter('sum', ['attribute?', 'start?'], sum),
  filter('unique', ['case_sensitive?', 'attribute?'], unique),
];

function orDefault(value: unknown, fallback: unknown = '', boolean: unknown = false): unknown {
  return value === undefined || (truthy(boolean) && !truthy(value)) ? fallback : value;
}

function pairsOf(value: unknown): unknown[] {
  if (!isDict(value)) throw new TemplateError('Can only get item pairs from a mapping.');
  return dictEntries(value).map(([key, member]) => tuple(key, member));
}

/** An attribute proper: a dict's members are none. */
const getAttributeOnly = (value: unknown, name: unknown): unknown =>
  isDict(value) && dictEntries(value).some(([key]) => key === name) ? undefined : getAttribute(value, print(name));
