import { Float } from '../msgpack.ts';
import { Members } from './members.ts';
import { chars, isDigit, isExponent } from './chars.ts';
import { JsonFault } from './position.ts';

/** Deepest nesting of a request body (observed in 1.6.1: the 128th opening bracket is refused). */
export const maxDepth = 127;

const hex = /^[0-9a-fA-F]{4}$/;
const needsCare = /[\\\p{Cc}]/u;
const simpleEscapes: Readonly<Record<string, string>> = { '"': '"', '\\': '\\', '/': '/', b: '\b', f: '\f', n: '\n', r: '\r', t: '\t' };

/**
 * Reads JSON strictly and says where and why it fails in the words of 1.6.1.
 *
 * It is slow beside `JSON.parse` and only used to explain a refusal, where an object has one name twice, and where the
 * kind of a number matters. Floats come back as `Float`, integers beyond 2^53 as bigint, objects with a repeated name as
 * `Members`.
 */
export class JsonReader {
  readonly text: string;
  index = 0;
  #depth = 0;
  constructor(text: string) {
    this.text = text;
  }

  /** The next character that is no white space, or NaN at the end; it is not consumed. */
  peek(): number {
    for (;;) {
      const char = this.text.charCodeAt(this.index);
      if (char !== chars.space && char !== chars.newline && char !== chars.return && char !== chars.tab) return char;
      this.index++;
    }
  }

  /** A fault at the end of what was read; after a part of a character when that was its first byte. */
  fault(message: string): JsonFault {
    return this.index > 0 && this.text.charCodeAt(this.index - 1) > 0x7f && this.index < this.text.length
      ? new JsonFault(message, this.index - 1, 1)
      : new JsonFault(message, Math.min(this.index, this.text.length));
  }

  /** A fault at the character that comes next. */
  peekFault(message: string): JsonFault {
    if (this.#at() > 0x7f) return new JsonFault(message, this.index, 1);
    return new JsonFault(message, Math.min(this.index + 1, this.text.length));
  }

  /** Any value, whole. */
  value(): unknown {
    const char = this.peek();
    if (char === chars.brace) return this.#map();
    if (char === chars.bracket) return this.#list();
    return this.scalar();
  }

  /** Passes over a value of any depth: only its syntax is looked at, not what its numbers and escapes mean. */
  skip(): void {
    const open: number[] = [];
    for (let first = true; ;) {
      const inside = open.at(-1);
      const more = inside === undefined || (inside === chars.brace ? this.#skipName(first) : this.nextItem(first));
      if (more) {
        const char = this.peek();
        first = char === chars.brace || char === chars.bracket;
        if (first) {
          open.push(char);
          this.index++;
        } else this.#skipScalar(char);
      } else {
        this.index++;
        open.pop();
        first = false;
      }
      if (open.length === 0) return;
    }
  }

  /** Moves behind the next name of an object and its colon; false at the closing brace. */
  #skipName(first: boolean): boolean {
    if (this.nextName(first) === undefined) return false;
    this.afterName();
    return true;
  }

  #skipScalar(char: number): void {
    if (char === chars.quote) this.#skipString();
    else if (char === chars.minus || isDigit(char)) this.#numberText();
    else this.scalar();
  }

  #skipString(): void {
    for (this.index++; ;) {
      const char = this.#at();
      if (Number.isNaN(char)) throw this.fault('EOF while parsing a string');
      if (char < 0x20) throw this.fault('control character (\\u0000-\\u001F) found while parsing a string');
      this.index++;
      if (char === chars.quote) return;
      if (char === chars.backslash) this.#skipEscape();
    }
  }

  #skipEscape(): void {
    if (this.index >= this.text.length) throw this.fault('EOF while parsing a string');
    const char = this.text.charAt(this.index++);
    if (char === 'u') this.#hex();
    else if (simpleEscapes[char] === undefined) throw this.fault('invalid escape');
  }

  /** Text, number, boolean or null. */
  scalar(): unknown {
    const char = this.peek();
    if (char === chars.quote) return this.string();
    if (char === chars.minus || isDigit(char)) return this.#number();
    if (char === chars.t) return this.#word('true', true);
    if (char === chars.f) return this.#word('false', false);
    if (char === chars.n) return this.#word('null', null);
    throw Number.isNaN(char) ? this.peekFault('EOF while parsing a value') : this.peekFault('expected value');
  }

  /** Enters an object or a list at its opening bracket. */
  enter(): void {
    if (++this.#depth > maxDepth) throw this.peekFault('recursion limit exceeded');
    this.index++;
  }

  /** Moves to the next name of an object and reads it; undefined at the closing brace, which stays. */
  nextName(first: boolean): string | undefined {
    let char = this.peek();
    if (char === chars.endBrace) return undefined;
    if (Number.isNaN(char)) throw this.peekFault('EOF while parsing an object');
    if (!first) {
      if (char !== chars.comma) throw this.peekFault('expected `,` or `}`');
      this.index++;
      char = this.peek();
      if (char === chars.endBrace) throw this.peekFault('trailing comma');
      if (Number.isNaN(char)) throw this.peekFault('EOF while parsing a value');
    }
    if (char !== chars.quote) throw this.peekFault('key must be a string');
    return this.string();
  }

  /** Consumes the colon between name and value. */
  afterName(): void {
    const char = this.peek();
    if (Number.isNaN(char)) throw this.peekFault('EOF while parsing an object');
    if (char !== chars.colon) throw this.peekFault('expected `:`');
    this.index++;
  }

  /** Moves to the next item of a list; false at the closing bracket, which stays. */
  nextItem(first: boolean): boolean {
    let char = this.peek();
    if (char === chars.endBracket) return false;
    if (Number.isNaN(char)) throw this.peekFault('EOF while parsing a list');
    if (first) return true;
    if (char !== chars.comma) throw this.peekFault('expected `,` or `]`');
    this.index++;
    char = this.peek();
    if (char === chars.endBracket) throw this.peekFault('trailing comma');
    if (Number.isNaN(char)) throw this.peekFault('EOF while parsing a value');
    return true;
  }

  /** Leaves an object or list whose end comes next; anything else there is a fault. */
  leave(): void {
    const char = this.peek();
    this.#depth--;
    if (char === chars.endBrace || char === chars.endBracket) {
      this.index++;
      return;
    }
    if (Number.isNaN(char)) throw this.peekFault('EOF while parsing a list');
    this.index++;
    throw this.peek() === chars.endBracket ? this.peekFault('trailing comma') : this.peekFault('trailing characters');
  }

  /** Where a fault found inside an object is reported: behind its end if that comes next, else at what comes next. */
  faultIndex(): number {
    const char = this.peek();
    return char === chars.endBrace || char === chars.endBracket ? this.index + 1 : this.index;
  }

  /** Makes sure that nothing but white space is left. */
  end(): void {
    if (!Number.isNaN(this.peek())) throw this.peekFault('trailing characters');
  }

  #map(): unknown {
    this.enter();
    const entries: [string, unknown][] = [];
    const map: Record<string, unknown> = {};
    let repeated = false;
    for (let name = this.nextName(true); name !== undefined; name = this.nextName(false)) {
      this.afterName();
      const value = this.value();
      repeated ||= Object.hasOwn(map, name);
      entries.push([name, value]);
      if (name === '__proto__') Object.defineProperty(map, name, { value, enumerable: true, configurable: true, writable: true });
      else map[name] = value;
    }
    this.leave();
    return repeated ? new Members(entries) : map;
  }

  #list(): unknown[] {
    this.enter();
    const list: unknown[] = [];
    for (let more = this.nextItem(true); more; more = this.nextItem(false)) list.push(this.value());
    this.leave();
    return list;
  }

  #word(word: string, value: unknown): unknown {
    this.index++;
    for (let i = 1; i < word.length; i++) {
      if (this.index >= this.text.length) throw this.fault('EOF while parsing a value');
      if (this.text.charCodeAt(this.index++) !== word.charCodeAt(i)) throw this.fault('expected ident');
    }
    return value;
  }

  #number(): unknown {
    const start = this.index;
    const integer = this.#numberText();
    return this.#numeric(this.text.slice(start, this.index), integer);
  }

  /** Moves behind a number; true when it is written as an integer. */
  #numberText(): boolean {
    if (this.#at() === chars.minus) this.index++;
    this.#whole();
    let integer = true;
    if (this.#at() === chars.dot) {
      integer = false;
      this.index++;
      if (!isDigit(this.#at())) throw this.peekFault(Number.isNaN(this.#at()) ? 'EOF while parsing a value' : 'invalid number');
      this.#digits();
    }
    if (isExponent(this.#at())) {
      integer = false;
      this.#exponent();
    }
    return integer;
  }

  #whole(): void {
    const first = this.#at();
    this.index++;
    if (Number.isNaN(first)) throw this.fault('EOF while parsing a value');
    if (!isDigit(first)) throw this.fault('invalid number');
    if (first !== chars.zero) this.#digits();
    else if (isDigit(this.#at())) throw this.peekFault('invalid number');
  }

  #exponent(): void {
    this.index++;
    if (this.#at() === chars.minus || this.#at() === chars.plus) this.index++;
    const first = this.#at();
    this.index++;
    if (Number.isNaN(first)) throw this.fault('EOF while parsing a value');
    if (!isDigit(first)) throw this.fault('invalid number');
    this.#digits();
  }

  #numeric(source: string, integer: boolean): unknown {
    const value = Number(source);
    if (!Number.isFinite(value)) throw this.fault('number out of range');
    if (!integer || Object.is(value, -0)) return new Float(value);
    if (Number.isSafeInteger(value)) return value;
    const exact = source.length <= 20 ? BigInt(source) : undefined;
    return exact !== undefined && exact < 1n << 64n && exact >= -(1n << 63n) ? exact : new Float(value);
  }

  #digits(): void {
    while (isDigit(this.#at())) this.index++;
  }

  /** Text, from its opening quote on. */
  string(): string {
    this.index++;
    let start = this.index;
    const end = this.text.indexOf('"', start);
    if (end !== -1) {
      const plain = this.text.slice(start, end);
      if (!needsCare.test(plain)) {
        this.index = end + 1;
        return plain;
      }
    }
    let read = '';
    for (;;) {
      const char = this.#at();
      if (char === chars.quote) {
        read += this.text.slice(start, this.index++);
        return read;
      }
      if (char === chars.backslash) {
        read += this.text.slice(start, this.index++);
        read += this.#escape();
        start = this.index;
      } else if (char < 0x20) {
        this.index++;
        throw this.fault('control character (\\u0000-\\u001F) found while parsing a string');
      } else if (Number.isNaN(char)) throw this.fault('EOF while parsing a string');
      else this.index++;
    }
  }

  #escape(): string {
    if (this.index >= this.text.length) throw this.fault('EOF while parsing a string');
    const char = this.text.charAt(this.index++);
    if (char === 'u') return this.#codeUnits();
    const meaning = simpleEscapes[char];
    if (meaning === undefined) throw this.fault('invalid escape');
    return meaning;
  }

  #codeUnits(): string {
    const first = this.#hex();
    if (first >= 0xdc00 && first <= 0xdfff) throw this.fault('lone leading surrogate in hex escape');
    if (first < 0xd800 || first > 0xdfff) return String.fromCharCode(first);
    for (const expected of [chars.backslash, chars.u]) {
      if (this.index >= this.text.length) throw this.fault('EOF while parsing a string');
      if (this.text.charCodeAt(this.index++) !== expected) throw this.fault('unexpected end of hex escape');
    }
    const second = this.#hex();
    if (second < 0xdc00 || second > 0xdfff) throw this.fault('lone leading surrogate in hex escape');
    return String.fromCharCode(first, second);
  }

  /** Four digits. 1.6.1 takes four bytes and then looks whether they are digits. */
  #hex(): number {
    const digits = this.text.slice(this.index, this.index + 4);
    if (hex.test(digits)) {
      this.index += 4;
      return Number.parseInt(digits, 16);
    }
    let bytes = 0;
    for (const char of digits) {
      const width = Buffer.byteLength(char);
      if (bytes + width > 4) throw new JsonFault('invalid escape', this.index, 4 - bytes);
      bytes += width;
      this.index += char.length;
      if (bytes === 4) throw new JsonFault('invalid escape', this.index);
    }
    throw this.fault('EOF while parsing a string');
  }

  #at(): number {
    return this.text.charCodeAt(this.index);
  }
}
