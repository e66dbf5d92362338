import { numberText } from '../text/json-text.ts';
import { argumentsText } from './arguments.ts';
import type { WholeCall } from './parser.ts';

/** Deepest nesting of an argument. */
const maxDepth = 64;

/** The calls of a list of Python calls with literal arguments; undefined where it is anything else. */
export function pythonCalls(list: string): readonly WholeCall[] | undefined {
  try {
    return new Literals(list).calls();
  } catch (error) {
    if (error instanceof NotLiteral) return undefined;
    throw error;
  }
}

/** A Python literal as JSON text; undefined where it is none. */
export function pythonValue(text: string): string | undefined {
  try {
    return new Literals(text).literal();
  } catch (error) {
    if (error instanceof NotLiteral) return undefined;
    throw error;
  }
}

class NotLiteral extends Error {}

const escapes: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r', b: '\b', f: '\f', v: '\v', a: '\u0007', '0': '\0' };
const words: Readonly<Record<string, string>> = { True: 'true', False: 'false', None: 'null', true: 'true', false: 'false', null: 'null' };

/** Reads Python literals and writes JSON. */
class Literals {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  calls(): readonly WholeCall[] {
    const calls: WholeCall[] = [];
    this.#need('[');
    do {
      if (this.#take(']')) return this.#end(calls);
      calls.push(this.#call());
    } while (this.#take(','));
    this.#need(']');
    return this.#end(calls);
  }

  literal(): string {
    const value = this.#value(0);
    this.#skip();
    if (this.#at < this.#text.length) throw new NotLiteral();
    return value;
  }

  #end(calls: readonly WholeCall[]): readonly WholeCall[] {
    this.#skip();
    if (this.#at < this.#text.length || calls.length === 0) throw new NotLiteral();
    return calls;
  }

  #call(): WholeCall {
    const name = this.#match(/[A-Za-z_]\w*/y);
    this.#need('(');
    const members: [string, string][] = [];
    while (!this.#take(')')) {
      const key = this.#match(/[A-Za-z_]\w*/y);
      this.#need('=');
      members.push([key, this.#value(0)]);
      if (!this.#take(',')) {
        this.#need(')');
        break;
      }
    }
    return { name, arguments: argumentsText(members) };
  }

  #value(depth: number): string {
    if (depth > maxDepth) throw new NotLiteral();
    this.#skip();
    const char = this.#text[this.#at];
    if (char === '"' || char === "'") return JSON.stringify(this.#string(char));
    if (this.#take('[')) return this.#entries(']', depth);
    if (this.#take('(')) return this.#entries(')', depth);
    if (this.#take('{')) return this.#members(depth);
    const word = this.#match(/[A-Za-z]+|[+-]?(?:\d[\d_]*)?\.?\d*(?:[eE][+-]?\d+)?/y);
    const known = words[word];
    if (known !== undefined) return known;
    const number = word
      .replaceAll('_', '')
      .replace(/^\+/, '')
      .replace(/^(-?)\./, '$10.')
      .replace(/\.$/, '.0');
    if (!/^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/.test(number)) throw new NotLiteral();
    return numberText(number);
  }

  #entries(close: string, depth: number): string {
    const entries: string[] = [];
    while (!this.#take(close)) {
      entries.push(this.#value(depth + 1));
      if (!this.#take(',')) {
        this.#need(close);
        break;
      }
    }
    return `[${entries.join(',')}]`;
  }

  #members(depth: number): string {
    const members: [string, string][] = [];
    while (!this.#take('}')) {
      this.#skip();
      const quote = this.#text[this.#at];
      if (quote !== '"' && quote !== "'") throw new NotLiteral();
      const key = this.#string(quote);
      this.#need(':');
      members.push([key, this.#value(depth + 1)]);
      if (!this.#take(',')) {
        this.#need('}');
        break;
      }
    }
    return argumentsText(members);
  }

  #string(quote: string): string {
    let value = '';
    for (let at = this.#at + 1; at < this.#text.length; at++) {
      const char = this.#text[at] as string;
      if (char === quote) {
        this.#at = at + 1;
        return value;
      }
      if (char !== '\\') {
        value += char;
        continue;
      }
      const next = this.#text[++at] ?? '';
      const digits = next === 'u' ? 4 : next === 'x' ? 2 : 0;
      const code = digits === 0 ? '' : this.#text.slice(at + 1, at + 1 + digits);
      if (digits > 0 && new RegExp(`^[0-9a-fA-F]{${digits}}$`).test(code)) {
        value += String.fromCharCode(Number.parseInt(code, 16));
        at += digits;
      } else value += next === '\n' ? '' : (escapes[next] ?? ('\\\'"'.includes(next) ? next : `\\${next}`));
    }
    throw new NotLiteral();
  }

  #match(pattern: RegExp): string {
    this.#skip();
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0] ?? '';
    if (found === '') throw new NotLiteral();
    this.#at += found.length;
    return found;
  }

  #take(char: string): boolean {
    this.#skip();
    if (this.#text[this.#at] !== char) return false;
    this.#at++;
    return true;
  }

  #need(char: string): void {
    if (!this.#take(char)) throw new NotLiteral();
  }

  #skip(): void {
    while (' \n\r\t'.includes(this.#text[this.#at] ?? 'x')) this.#at++;
  }
}
