import { formatPercent } from '../format-percent.ts';
import { print } from '../print.ts';
import { capitalize, replace, stringMethods, strip } from '../string-methods.ts';
import { checkText } from '../template-error.ts';
import { dictEntries, equals, isDict, iterate, truthy, tuple, wholeNumber } from '../values.ts';
import { filter, type Filter } from './filter.ts';

const escapes: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', "'": '&#39;', '"': '&#34;' };
const escape = (value: unknown): string => print(value).replace(/[&<>'"]/g, (sign) => escapes[sign] ?? sign);

const title = (value: unknown): string =>
  print(value)
    .split(/([-\s({[<]+)/)
    .map((word) => (word === '' ? '' : capitalize(word)))
    .join('');

function indent(value: unknown, width: unknown = 4, first: unknown = false, blank: unknown = false): string {
  const indention = typeof width === 'string' ? width : ' '.repeat(Math.max(0, wholeNumber(width, 'width')));
  // A newline is added first: like the original, a text that ends with one keeps it.
  const [head = '', ...lines] = `${print(value)}\n`.split('\n').slice(0, -1);
  checkText((lines.length + 1) * indention.length);
  const tail = lines.map((line) => (line === '' && !truthy(blank) ? line : indention + line));
  return (truthy(first) ? indention : '') + [head, ...tail].join('\n');
}

function truncate(value: unknown, length: unknown = 255, kill: unknown = false, end: unknown = '...', leeway: unknown = 5): string {
  const text = print(value);
  const most = wholeNumber(length, 'length');
  const tail = print(end);
  if (text.length <= most + wholeNumber(leeway ?? 5, 'leeway')) return text;
  const cut = text.slice(0, most - tail.length);
  if (truthy(kill)) return cut + tail;
  const space = cut.lastIndexOf(' ');
  return (space < 0 ? cut : cut.slice(0, space)) + tail;
}

function wordwrap(value: unknown, width: unknown = 79, breakLong: unknown = true, wrap: unknown = '\n'): string {
  const most = Math.max(1, wholeNumber(width, 'width'));
  const lines = print(value)
    .split('\n')
    .map((line) => wrapLine(line, most, truthy(breakLong)).join(print(wrap)));
  return lines.join(print(wrap));
}

function wrapLine(line: string, most: number, breakLong: boolean): string[] {
  const lines: string[] = [];
  let current = '';
  for (let word of line.split(/(?<=\s)(?=\S)/)) {
    if (current !== '' && (current + word.trimEnd()).length > most) {
      lines.push(current.trimEnd());
      current = '';
    }
    for (; breakLong && word.trimEnd().length > most; word = word.slice(most)) lines.push(word.slice(0, most));
    current += word;
  }
  return [...lines, current.trimEnd()];
}

/** Scans by hand: a pattern would take quadratic time on text full of `<`. */
function stripTags(text: string): string {
  let kept = '';
  let at = 0;
  for (;;) {
    const open = text.indexOf('<', at);
    const comment = open >= 0 && text.startsWith('<!--', open);
    const close = open < 0 ? -1 : text.indexOf(comment ? '-->' : '>', open);
    if (close < 0) break;
    kept += text.slice(at, open);
    at = close + (comment ? 3 : 1);
  }
  return (kept + text.slice(at)).replace(/\s+/g, ' ').trim();
}

const encode = (text: string, safe: string): string =>
  encodeURIComponent(text.toWellFormed())
    .replace(/[!'()*]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`)
    .replace(/%2F/g, safe);

function urlencode(value: unknown): string {
  if (typeof value === 'string' || !(isDict(value) || Array.isArray(value))) return encode(print(value), '/');
  const pairs = isDict(value) ? dictEntries(value) : iterate(value).map((pair) => iterate(pair));
  return pairs.map(([key, member]) => `${encode(print(key), '%2F')}=${encode(print(member), '%2F')}`).join('&');
}

const method = (name: string, value: unknown, args: readonly unknown[]): unknown => stringMethods.get(name)?.(print(value), args, undefined);

/** Jinja2's filters that make text. */
export const textFilters: readonly [string, Filter][] = [
  filter('capitalize', [], (value) => capitalize(print(value))),
  filter('center', ['width?'], (value, width = 80) => method('center', value, [width])),
  filter('e', [], escape),
  filter('escape', [], escape),
  filter('forceescape', [], escape),
  ['format', (value, args, named) => formatPercent(print(value), named !== undefined && named.size > 0 ? new Map(named) : tuple(...args))],
  filter('indent', ['width?', 'first?', 'blank?'], indent),
  filter('lower', [], (value) => print(value).toLowerCase()),
  filter('replace', ['old', 'new', 'count?'], (value, old, made, count) =>
    replace(print(value), print(old), print(made), equals(count, -1) ? undefined : count),
  ),
  filter('safe', [], (value) => print(value)),
  filter('string', [], (value) => print(value)),
  filter('striptags', [], (value) => stripTags(print(value))),
  filter('title', [], title),
  filter('trim', ['chars?'], (value, chars) => strip(print(value), chars, 'both')),
  filter('truncate', ['length?', 'killwords?', 'end?', 'leeway?'], truncate),
  filter('upper', [], (value) => print(value).toUpperCase()),
  filter('urlencode', [], urlencode),
  filter('wordcount', [], (value) => print(value).match(/[\p{L}\p{N}_]+/gu)?.length ?? 0),
  filter('wordwrap', ['width?', 'break_long_words?', 'wrapstring?'], wordwrap),
];
