import { numberText } from '../text/json-text.ts';
import { argumentsText } from './arguments.ts';
import { blockFamily } from './block-family.ts';
import type { ToolParser } from './parser.ts';

const quote = '<|"|>';
/** Deepest nesting of an argument. */
const maxDepth = 64;

/** Gemma 4: `<|tool_call>call:NAME{key:<|"|>text<|"|>,n:1}<tool_call|>`. */
export const gemma4: ToolParser = blockFamily({
  open: ['<|tool_call>'],
  close: ['<tool_call|>'],
  read: (block, _tools, cut) => {
    const found = /^\s*call:([^{\s]+)\s*(\{[^]*\})\s*$/.exec(block);
    if (cut || found === null) return [];
    // Arguments that can't be read leave a call without any (1.6.1).
    return [{ name: found[1] ?? '', arguments: new GemmaValue(found[2] ?? '').whole() ?? '{}' }];
  },
});

/** Reads a value in Gemma's notation, whose names and texts have quotes of their own, and writes it as JSON. */
class GemmaValue {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  whole(): string | undefined {
    const json = this.#value(0);
    this.#skip();
    return this.#at === this.#text.length ? json : undefined;
  }

  #value(depth: number): string | undefined {
    this.#skip();
    if (depth > maxDepth) return undefined;
    if (this.#take('{')) return this.#members(depth);
    if (this.#take('[')) return this.#entries(depth);
    return this.#take(quote) ? this.#quoted() : this.#bare();
  }

  #members(depth: number): string | undefined {
    const members: [string, string][] = [];
    for (this.#skip(); !this.#take('}'); this.#skip()) {
      const colon = this.#text.indexOf(':', this.#at);
      if (colon < 0) return undefined;
      const name = this.#text.slice(this.#at, colon).replaceAll(quote, '').trim();
      if (!/^[^\s,{}[\]<>|]+$/.test(name)) return undefined;
      this.#at = colon + 1;
      const value = this.#value(depth + 1);
      if (value === undefined) return undefined;
      members.push([name, value]);
      this.#skip();
      if (!this.#take(',') && this.#text[this.#at] !== '}') return undefined;
    }
    return argumentsText(members);
  }

  #entries(depth: number): string | undefined {
    const entries: string[] = [];
    for (this.#skip(); !this.#take(']'); this.#skip()) {
      const value = this.#value(depth + 1);
      if (value === undefined) return undefined;
      entries.push(value);
      this.#skip();
      if (!this.#take(',') && this.#text[this.#at] !== ']') return undefined;
    }
    return `[${entries.join(',')}]`;
  }

  #quoted(): string | undefined {
    const end = this.#text.indexOf(quote, this.#at);
    if (end < 0) return undefined;
    const text = this.#text.slice(this.#at, end);
    this.#at = end + quote.length;
    return JSON.stringify(text);
  }

  #bare(): string | undefined {
    const from = this.#at;
    while (this.#at < this.#text.length && !',{}[]<>|'.includes(this.#text[this.#at] ?? '')) this.#at++;
    const word = this.#text.slice(from, this.#at).trim();
    if (word === '') return undefined;
    if (/^(?:true|false|null)$/.test(word)) return word;
    return /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/.test(word) ? numberText(word) : JSON.stringify(word);
  }

  #take(text: string): boolean {
    if (!this.#text.startsWith(text, this.#at)) return false;
    this.#at += text.length;
    return true;
  }

  #skip(): void {
    while (' \n\r\t'.includes(this.#text[this.#at] ?? 'x')) this.#at++;
  }
}
