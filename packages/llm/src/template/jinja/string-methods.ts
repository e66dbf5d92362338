import { arrange, sign } from './arguments.ts';
import { formatBraces } from './format-braces.ts';
import { pythonSpace } from './lexer.ts';
import type { Method } from './methods.ts';
import { checkText, TemplateError } from './template-error.ts';
import { isFlat, iterate, textOf, tuple, wholeNumber } from './values.ts';

type Run = (self: string, ...args: readonly unknown[]) => unknown;

function method(name: string, parameters: readonly string[], run: Run): [string, Method] {
  const signature = sign(parameters);
  return [name, (self, args, named) => run(self as string, ...arrange(name, signature, args, named))];
}

const spaces = new RegExp(`[${pythonSpace}]+`);
const isSpace = new RegExp(`^[${pythonSpace}]+$`);
/** Scans by hand: a pattern that ends in `$` takes quadratic time on text full of blanks, and the text is the client's. */
function stripSpace(text: string, sides: 'left' | 'right' | 'both'): string {
  let from = 0;
  let to = text.length;
  if (sides !== 'right') while (from < to && isBlank(text.charCodeAt(from))) from++;
  if (sides !== 'left') while (to > from && isBlank(text.charCodeAt(to - 1))) to--;
  return from === 0 && to === text.length ? text : text.slice(from, to);
}

function isBlank(unit: number): boolean {
  if (unit <= 0x20) return unit === 0x20 || unit >= 0x1c || (unit >= 0x09 && unit <= 0x0d);
  return unit >= 0x85 && isSpace.test(String.fromCharCode(unit));
}

/** Python's `lstrip`, `rstrip` and `strip`: white space, or any of the given characters. */
export function strip(text: string, chars: unknown, sides: 'left' | 'right' | 'both'): string {
  if (chars === undefined || chars === null) return stripSpace(text, sides);
  const set = textOf(chars, 'strip argument');
  if (!isFlat(set)) return stripWide(text, new Set(set), sides);
  let from = 0;
  let to = text.length;
  if (sides !== 'right') while (from < to && set.includes(text.charAt(from))) from++;
  if (sides !== 'left') while (to > from && set.includes(text.charAt(to - 1))) to--;
  return text.slice(from, to);
}

function stripWide(text: string, set: ReadonlySet<string>, sides: 'left' | 'right' | 'both'): string {
  const signs = Array.from(text);
  let from = 0;
  let to = signs.length;
  if (sides !== 'right') while (from < to && set.has(signs[from] ?? '')) from++;
  if (sides !== 'left') while (to > from && set.has(signs[to - 1] ?? '')) to--;
  return signs.slice(from, to).join('');
}

function limitOf(limit: unknown): number {
  if (limit === undefined) return Number.POSITIVE_INFINITY;
  const count = wholeNumber(limit, 'maxsplit');
  return count < 0 ? Number.POSITIVE_INFINITY : count;
}

function split(text: string, separator?: unknown, limit?: unknown): string[] {
  const most = limitOf(limit);
  if (separator === undefined || separator === null) return splitSpace(text, most);
  const mark = separatorOf(separator);
  const parts = text.split(mark);
  return parts.length <= most + 1 ? parts : [...parts.slice(0, most), parts.slice(most).join(mark)];
}

function splitSpace(text: string, most: number): string[] {
  if (most === Number.POSITIVE_INFINITY) return strip(text, undefined, 'both') === '' ? [] : strip(text, undefined, 'both').split(spaces);
  const parts: string[] = [];
  let rest = strip(text, undefined, 'left');
  while (rest !== '' && parts.length < most) {
    const found = spaces.exec(rest);
    if (found === null) break;
    parts.push(rest.slice(0, found.index));
    rest = rest.slice(found.index + found[0].length);
  }
  return rest === '' ? parts : [...parts, rest];
}

function splitRight(text: string, separator?: unknown, limit?: unknown): string[] {
  const most = limitOf(limit);
  if (separator === undefined || separator === null) {
    if (most === Number.POSITIVE_INFINITY) return splitSpace(text, most);
    return splitSpace(reversed(text), most).map(reversed).toReversed();
  }
  const mark = separatorOf(separator);
  const parts = text.split(mark);
  const cut = parts.length - most;
  return cut <= 1 ? parts : [parts.slice(0, cut).join(mark), ...parts.slice(cut)];
}

const reversed = (text: string): string => Array.from(text).toReversed().join('');

function separatorOf(separator: unknown): string {
  const mark = textOf(separator, 'separator');
  if (mark === '') throw new TemplateError('empty separator');
  return mark;
}

function partition(text: string, separator: unknown, from: 'left' | 'right'): unknown {
  const mark = separatorOf(separator);
  const at = from === 'left' ? text.indexOf(mark) : text.lastIndexOf(mark);
  if (at < 0) return from === 'left' ? tuple(text, '', '') : tuple('', '', text);
  return tuple(text.slice(0, at), mark, text.slice(at + mark.length));
}

const lineEnds = '\\n\\r\\v\\f\\x1c-\\x1e\\x85\\u2028\\u2029';
const line = new RegExp(`[^${lineEnds}]*(?:\\r\\n|[${lineEnds}]|$)`, 'g');
const lineEnd = new RegExp(`(?:\\r\\n|[${lineEnds}])$`);

function splitLines(text: string, keep: unknown): string[] {
  const lines = text.match(line) ?? [];
  if (lines.at(-1) === '') lines.pop();
  return keep === true ? lines : lines.map((part) => part.replace(lineEnd, ''));
}

/** Python's `replace`, all or the first few. */
export function replace(text: string, old: unknown, made: unknown, count?: unknown): string {
  const from = textOf(old, 'replace argument 1');
  const to = textOf(made, 'replace argument 2');
  const most = count === undefined || count === null ? -1 : wholeNumber(count, 'count');
  const parts = from === '' ? ['', ...Array.from(text), ''] : text.split(from);
  const replaced = most < 0 ? parts.length - 1 : Math.min(most, parts.length - 1);
  checkText(text.length + replaced * to.length);
  if (replaced === parts.length - 1) return parts.join(to);
  return (
    parts.slice(0, replaced + 1).join(to) +
    parts
      .slice(replaced + 1)
      .map((part) => from + part)
      .join('')
  );
}

/** The part that a search looks at, and where it starts. */
function part(text: string, start: unknown, stop: unknown): { text: string; offset: number } {
  const at = (value: unknown, usual: number): number => {
    if (value === undefined || value === null) return usual;
    const index = wholeNumber(value, 'a position');
    return Math.max(0, Math.min(text.length, index < 0 ? text.length + index : index));
  };
  const offset = at(start, 0);
  return { text: text.slice(offset, Math.max(offset, at(stop, text.length))), offset };
}

function find(self: string, args: readonly unknown[], last: boolean): number {
  const { text, offset } = part(self, args[1], args[2]);
  const wanted = textOf(args[0], 'argument 1');
  const at = last ? text.lastIndexOf(wanted) : text.indexOf(wanted);
  return at < 0 ? -1 : Array.from(self.slice(0, at + offset)).length;
}

function index(self: string, args: readonly unknown[], last: boolean): number {
  const at = find(self, args, last);
  if (at < 0) throw new TemplateError('substring not found');
  return at;
}

function edge(self: string, args: readonly unknown[], test: (text: string, wanted: string) => boolean): boolean {
  const { text } = args.length > 1 ? part(self, args[1], args[2]) : { text: self };
  const wanted = args[0];
  if (Array.isArray(wanted)) return wanted.some((item) => test(text, textOf(item, 'argument 1')));
  return test(text, textOf(wanted, 'argument 1'));
}

function count(self: string, wanted: unknown, start: unknown, stop: unknown): number {
  const { text } = part(self, start, stop);
  const mark = textOf(wanted, 'argument 1');
  return mark === '' ? Array.from(text).length + 1 : text.split(mark).length - 1;
}

function justify(text: string, width: unknown, fill: unknown, side: 'left' | 'right' | 'center'): string {
  const wide = wholeNumber(width, 'width');
  const sign = fill === undefined ? ' ' : textOf(fill, 'fill character');
  if (Array.from(sign).length !== 1) throw new TemplateError('the fill character must be exactly one character long');
  checkText(wide);
  const missing = Math.max(0, wide - Array.from(text).length);
  if (side === 'left') return text + sign.repeat(missing);
  if (side === 'right') return sign.repeat(missing) + text;
  const before = (missing >> 1) + (missing & wide & 1);
  return sign.repeat(before) + text + sign.repeat(missing - before);
}

/** First letter upper, the rest lower. */
export function capitalize(text: string): string {
  const [first = '', ...rest] = Array.from(text);
  return first.toUpperCase() + rest.join('').toLowerCase();
}

const title = (text: string): string => text.replace(/\p{L}+/gu, capitalize);
const swap = (sign: string): string => (sign === sign.toUpperCase() ? sign.toLowerCase() : sign.toUpperCase());
const hasCase = (text: string): boolean => text.toLowerCase() !== text.toUpperCase();

function zeroFill(text: string, width: unknown): string {
  const [sign = ''] = /^[+-]?/.exec(text) ?? [];
  checkText(wholeNumber(width, 'width'));
  return sign + text.slice(sign.length).padStart(wholeNumber(width, 'width') - sign.length, '0');
}

function join(self: string, items: unknown): string {
  const parts = iterate(items).map((item, at) => textOf(item, `sequence item ${at}`));
  checkText(parts.reduce((sum, item) => sum + item.length + self.length, 0));
  return parts.join(self);
}

const matches = (name: string, pattern: RegExp): [string, Method] => method(name, [], (self) => pattern.test(self));

/** Python's methods of `str` that need nothing outside of the text. */
export const stringMethods: ReadonlyMap<string, Method> = new Map([
  method('capitalize', [], capitalize),
  method('casefold', [], (self) => self.toLowerCase().replaceAll('ß', 'ss')),
  method('center', ['width', 'fillchar?'], (self, width, fill) => justify(self, width, fill, 'center')),
  method('count', ['sub', 'start?', 'end?'], count),
  method('endswith', ['suffix', 'start?', 'end?'], (self, ...args) => edge(self, args, (text, wanted) => text.endsWith(wanted))),
  method('expandtabs', ['tabsize?'], (self, size = 8) => self.replaceAll('\t', ' '.repeat(wholeNumber(size, 'tabsize')))),
  method('find', ['sub', 'start?', 'end?'], (self, ...args) => find(self, args, false)),
  ['format', (self, args, named) => formatBraces(self as string, args, named)],
  method('index', ['sub', 'start?', 'end?'], (self, ...args) => index(self, args, false)),
  matches('isalnum', /^[\p{L}\p{N}]+$/u),
  matches('isalpha', /^\p{L}+$/u),
  matches('isascii', /^\p{ASCII}*$/u),
  matches('isdecimal', /^\p{Nd}+$/u),
  matches('isdigit', /^[\p{Nd}\u00b2\u00b3\u00b9\u2070-\u2089]+$/u),
  matches('isidentifier', /^[\p{L}_][\p{L}\p{N}_]*$/u),
  method('islower', [], (self) => hasCase(self) && self === self.toLowerCase()),
  matches('isnumeric', /^\p{N}+$/u),
  matches('isprintable', /^[^\p{C}\p{Zl}\p{Zp}]*$/u),
  matches('isspace', isSpace),
  method('istitle', [], (self) => hasCase(self) && self === title(self)),
  method('isupper', [], (self) => hasCase(self) && self === self.toUpperCase()),
  method('join', ['iterable'], join),
  method('ljust', ['width', 'fillchar?'], (self, width, fill) => justify(self, width, fill, 'left')),
  method('lower', [], (self) => self.toLowerCase()),
  method('lstrip', ['chars?'], (self, chars) => strip(self, chars, 'left')),
  method('partition', ['sep'], (self, separator) => partition(self, separator, 'left')),
  method('removeprefix', ['prefix'], (self, prefix) => (self.startsWith(textOf(prefix, 'prefix')) ? self.slice((prefix as string).length) : self)),
  method('removesuffix', ['suffix'], (self, suffix) =>
    suffix !== '' && self.endsWith(textOf(suffix, 'suffix')) ? self.slice(0, -(suffix as string).length) : self,
  ),
  method('replace', ['old', 'new', 'count?'], replace),
  method('rfind', ['sub', 'start?', 'end?'], (self, ...args) => find(self, args, true)),
  method('rindex', ['sub', 'start?', 'end?'], (self, ...args) => index(self, args, true)),
  method('rjust', ['width', 'fillchar?'], (self, width, fill) => justify(self, width, fill, 'right')),
  method('rpartition', ['sep'], (self, separator) => partition(self, separator, 'right')),
  method('rsplit', ['sep?', 'maxsplit?'], splitRight),
  method('rstrip', ['chars?'], (self, chars) => strip(self, chars, 'right')),
  method('split', ['sep?', 'maxsplit?'], split),
  method('splitlines', ['keepends?'], splitLines),
  method('startswith', ['prefix', 'start?', 'end?'], (self, ...args) => edge(self, args, (text, wanted) => text.startsWith(wanted))),
  method('strip', ['chars?'], (self, chars) => strip(self, chars, 'both')),
  method('swapcase', [], (self) => Array.from(self, swap).join('')),
  method('title', [], title),
  method('upper', [], (self) => self.toUpperCase()),
  method('zfill', ['width'], zeroFill),
]);
