import { getPath } from '../attributes.ts';
import { type JsonOptions, plainJson, writeJson } from '../json.ts';
import { print } from '../print.ts';
import { TemplateError } from '../template-error.ts';
import { Generator, iterate, textOf, truthy, wholeNumber } from '../values.ts';
import { filter, type Filter } from './filter.ts';
import { numberFilters } from './numbers.ts';
import { sequenceFilters } from './sequences.ts';
import { textFilters } from './text.ts';

/** Applies another filter, or looks up an attribute, for each item. */
const map: Filter = (value, args, named) => {
  // What is false as a condition has no items, whatever the arguments are (Jinja2 3.1.6).
  if (!truthy(value)) return new Generator([]);
  if (args.length === 0) {
    const attribute = named?.get('attribute');
    if (attribute === undefined) throw new TemplateError('map requires a filter argument');
    const fallback = named?.get('default');
    return new Generator(iterate(value).map((item) => getPath(item, attribute, fallback)));
  }
  const [name, ...rest] = args;
  const inner = filters.get(textOf(name, 'filter name'));
  if (inner === undefined) throw new TemplateError(`no filter named '${print(name)}'`);
  return new Generator(iterate(value).map((item) => inner(item, rest, named)));
};

function indentOf(indent: unknown): string | undefined {
  if (indent === undefined || indent === null) return undefined;
  return typeof indent === 'string' ? indent : ' '.repeat(Math.min(100, Math.max(0, wholeNumber(indent, 'indent'))));
}
function tojson(value: unknown, ensureAscii?: unknown, indent?: unknown, separators?: unknown, sortKeys?: unknown): string {
  if (ensureAscii === undefined && indent === undefined && separators === undefined && sortKeys === undefined) return writeJson(value);
  const indentation = indentOf(indent);
  const pair = separators === undefined || separators === null ? undefined : iterate(separators).map((text) => textOf(text, 'a separator'));
  const usual = indentation === undefined ? plainJson.separators : ([',', ': '] as const);
  const options: JsonOptions = {
    ensureAscii: truthy(ensureAscii),
    indent: indentation,
    separators: pair === undefined ? usual : [pair[0] ?? ', ', pair[1] ?? ': '],
    sortKeys: truthy(sortKeys),
  };
  return writeJson(value, options);
}

/** Jinja2's filters by name, with transformers' `tojson`. */
export const filters: ReadonlyMap<string, Filter> = new Map<string, Filter>([
  ...textFilters,
  ...numberFilters,
  ...sequenceFilters,
  ['map', map],
  filter('tojson', ['ensure_ascii?', 'indent?', 'separators?', 'sort_keys?'], tojson),
]);
