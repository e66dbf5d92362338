import { TemplateError } from './template-error.ts';

/** A piece of a template's source. */
export interface Token {
  readonly type: 'text' | 'open-print' | 'close-print' | 'open-block' | 'close-block' | 'name' | 'string' | 'integer' | 'float' | 'operator' | 'end';
  readonly value: string;
  readonly line: number;
}

/** White space as Python's `\s` and `str.strip` see it. */
export const pythonSpace = '\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000';

const opener = /\{[{%#]/g;
const trailingSpace = new RegExp(`[${pythonSpace}]+$`);
const onlySpace = new RegExp(`^[${pythonSpace}]*$`);
const leadingSpace = new RegExp(`[${pythonSpace}]*`, 'y');
const space = new RegExp(`[${pythonSpace}]+`, 'y');
const float = /(?:\d+_)*\d+(?:(?:\.(?:\d+_)*\d+)?[eE][+-]?(?:\d+_)*\d+|\.(?:\d+_)*\d+)/y;
const integer = /0[bB](?:_?[01])+|0[oO](?:_?[0-7])+|0[xX](?:_?[\da-fA-F])+|[1-9](?:_?\d)*|0(?:_?0)*/y;
const name = /[\p{L}_][\p{L}\p{N}_]*/uy;
const string = /'(?:[^'\\]|\\[\s\S])*'|"(?:[^"\\]|\\[\s\S])*"/y;
const operator = /\/\/|\*\*|==|!=|>=|<=|[-+/*%~[\](){}><=.:|,;]/y;
const rawOpen = /\{%[-+]?\s*raw\s*(-?)%\}/y;
const rawClose = /\{%([-+]?)\s*endraw\s*([-+]?)%\}/g;

/**
 * Cuts a template into tokens as Jinja2 does with `trim_blocks` and `lstrip_blocks` on: the newline behind a block or
 * comment goes, and so does the white space between the start of a line and a block or comment.
 */
export function tokenize(template: string): Token[] {
  return new Lexer(template).run();
}

class Lexer {
  readonly #source: string;
  readonly #tokens: Token[] = [];
  #at = 0;
  #line = 1;
  #counted = 0;
  /** True when nothing of the current line stands before the position. */
  #fresh = true;

  constructor(template: string) {
    const lines = template.replace(/\r\n?/g, '\n');
    this.#source = lines.endsWith('\n') ? lines.slice(0, -1) : lines;
  }

  run(): Token[] {
    while (this.#at < this.#source.length) this.#piece();
    this.#push('end', '');
    return this.#tokens;
  }

  /** One run of text and the tag behind it. */
  #piece(): void {
    opener.lastIndex = this.#at;
    const found = opener.exec(this.#source);
    if (found === null) {
      this.#text(this.#source.slice(this.#at));
      this.#at = this.#source.length;
      return;
    }
    const kind = found[0];
    const sign = this.#source[found.index + 2];
    this.#text(this.#before(this.#source.slice(this.#at, found.index), sign, kind !== '{{'));
    this.#at = found.index;
    if (kind === '{#') return this.#comment();
    const raw = kind === '{%' ? match(rawOpen, this.#source, this.#at) : undefined;
    if (raw !== undefined) return this.#raw(raw);
    this.#push(kind === '{{' ? 'open-print' : 'open-block', kind);
    this.#at += sign === '-' || sign === '+' ? 3 : 2;
    this.#inside(kind === '{{' ? 'print' : 'block');
  }

  /** The text before a tag, less what the tag takes away. */
  #before(text: string, sign: string | undefined, strips: boolean): string {
    if (sign === '-') return text.replace(trailingSpace, '');
    if (sign === '+' || !strips) return text;
    const start = text.lastIndexOf('\n') + 1;
    return (start > 0 || this.#fresh) && onlySpace.test(text.slice(start)) ? text.slice(0, start) : text;
  }

  #comment(): void {
    const end = this.#source.indexOf('#}', this.#at + 2);
    if (end < 0) throw new TemplateError('a comment is not closed', this.#here());
    const sign = this.#source[end - 1];
    this.#close(end + 2, end > this.#at + 2 && sign === '-' ? '-' : sign === '+' ? '+' : '', true);
  }

  #raw(open: string): void {
    const start = this.#at + open.length;
    rawClose.lastIndex = start;
    const close = rawClose.exec(this.#source);
    if (close === null) throw new TemplateError('a raw block is not closed', this.#here());
    this.#close(start, open.at(-3) === '-' ? '-' : '', false);
    if (this.#at < close.index) this.#text(this.#before(this.#source.slice(this.#at, close.index), close[1], true));
    this.#close(close.index + close[0].length, close[2] ?? '', true);
  }

  /** Moves behind a closing tag and what it takes away. */
  #close(end: number, sign: string, trims: boolean): void {
    this.#at = end;
    if (sign === '-') {
      leadingSpace.lastIndex = end;
      this.#at += leadingSpace.exec(this.#source)?.[0].length ?? 0;
    } else if (trims && sign !== '+' && this.#source[end] === '\n') this.#at++;
    this.#fresh = this.#source[this.#at - 1] === '\n';
  }

  #inside(kind: 'print' | 'block'): void {
    const end = kind === 'print' ? '}}' : '%}';
    const open: string[] = [];
    for (;;) {
      this.#at += match(space, this.#source, this.#at)?.length ?? 0;
      if (this.#at >= this.#source.length) throw new TemplateError(`a tag is not closed: expected '${end}'`, this.#here());
      const sign = this.#source[this.#at] as string;
      const signed = sign === '-' || (sign === '+' && kind === 'block') ? 1 : 0;
      if (open.length === 0 && this.#source.startsWith(end, this.#at + signed)) {
        this.#push(kind === 'print' ? 'close-print' : 'close-block', end);
        return this.#close(this.#at + signed + 2, signed === 1 ? sign : '', kind === 'block');
      }
      this.#token(open);
    }
  }

  #token(open: string[]): void {
    const found = match(float, this.#source, this.#at);
    if (found !== undefined && this.#tokens.at(-1)?.value !== '.') return this.#take('float', found);
    const whole = match(integer, this.#source, this.#at);
    if (whole !== undefined) return this.#take('integer', whole);
    const word = match(name, this.#source, this.#at);
    if (word !== undefined) return this.#take('name', word);
    const text = match(string, this.#source, this.#at);
    if (text !== undefined) return this.#take('string', text);
    const sign = match(operator, this.#source, this.#at);
    if (sign === undefined) throw new TemplateError(`unexpected character '${this.#source[this.#at] ?? ''}'`, this.#here());
    if (sign === '(' || sign === '[' || sign === '{') open.push(closing[sign]);
    if ((sign === ')' || sign === ']' || sign === '}') && open.pop() !== sign) throw new TemplateError(`unexpected '${sign}'`, this.#here());
    this.#take('operator', sign);
  }

  #take(type: Token['type'], value: string): void {
    this.#push(type, value);
    this.#at += value.length;
  }

  #text(value: string): void {
    if (value !== '') this.#push('text', value);
  }

  #push(type: Token['type'], value: string): void {
    this.#tokens.push({ type, value, line: this.#here() });
  }

  #here(): number {
    for (; this.#counted < this.#at; this.#counted++) if (this.#source[this.#counted] === '\n') this.#line++;
    return this.#line;
  }
}

const closing = { '(': ')', '[': ']', '{': '}' } as const;

function match(pattern: RegExp, source: string, at: number): string | undefined {
  pattern.lastIndex = at;
  return pattern.exec(source)?.[0];
}

const escapes: Readonly<Record<string, string>> = {
  n: '\n',
  t: '\t',
  r: '\r',
  b: '\b',
  f: '\f',
  v: '\v',
  a: '\x07',
  '\\': '\\',
  "'": "'",
  '"': '"',
  '\n': '',
};

const escape = /\\(?:([0-7]{1,3})|x([\da-fA-F]{2})|u([\da-fA-F]{4})|U([\da-fA-F]{8})|([\s\S]))/g;

/** The value of a quoted string with Python's escapes; an escape that Python does not know stays as it is. */
export function unquote(quoted: string, line: number): string {
  const body = quoted.slice(1, -1);
  if (!body.includes('\\')) return body;
  return body.replace(escape, (whole, octal?: string, two?: string, four?: string, eight?: string, sign?: string) => {
    if (octal !== undefined) return String.fromCharCode(Number.parseInt(octal, 8));
    const hex = two ?? four ?? eight;
    if (hex !== undefined) return codePoint(Number.parseInt(hex, 16), whole, line);
    if (sign === 'x' || sign === 'u' || sign === 'U' || sign === 'N') throw new TemplateError(`string escape ${whole} is cut off or unknown`, line);
    return escapes[sign ?? ''] ?? whole;
  });
}

function codePoint(value: number, whole: string, line: number): string {
  if (value > 0x10ffff) throw new TemplateError(`string escape ${whole} is no character`, line);
  return String.fromCodePoint(value);
}
