import type { Token } from './lexer.ts';
import { maxDepth, TemplateError } from './template-error.ts';

/** A template's tokens and the place where a parser is among them. */
export class TokenStream {
  readonly #tokens: readonly Token[];
  #at = 0;
  #depth = 0;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  /** The token to read next. */
  get current(): Token {
    return this.#tokens[this.#at] as Token;
  }

  /** The token behind the current one. */
  get following(): Token {
    return (this.#tokens[this.#at + 1] ?? this.current) as Token;
  }

  /** The current token; the stream moves on. */
  next(): Token {
    const token = this.current;
    if (token.type !== 'end') this.#at++;
    return token;
  }

  /** True when that token is the current one. */
  is(type: Token['type'], value?: string): boolean {
    return this.current.type === type && (value === undefined || this.current.value === value);
  }

  /** Moves on when that token is the current one. */
  accept(type: Token['type'], value?: string): boolean {
    if (!this.is(type, value)) return false;
    this.#at++;
    return true;
  }

  /** Moves on from that token, or fails. */
  expect(type: Token['type'], value?: string): Token {
    if (!this.is(type, value)) this.fail(`expected ${value === undefined ? type : `'${value}'`}, found ${this.found()}`);
    return this.next();
  }

  /** Fails at the current token. */
  fail(message: string): never {
    throw new TemplateError(message, this.current.line);
  }

  /** Runs a part that can hold itself, and refuses sources that nest without end. */
  nested<T>(part: () => T): T {
    if (++this.#depth > maxDepth) this.fail(`nested deeper than ${maxDepth} levels`);
    try {
      return part();
    } finally {
      this.#depth--;
    }
  }

  /** The current token, for messages. */
  found(): string {
    return this.current.type === 'end' ? 'the end of the template' : `'${this.current.value}'`;
  }
}
