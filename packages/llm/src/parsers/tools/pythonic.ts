import { EventList } from './events.ts';
import type { ParserEvent, ToolParser, ToolParserRun } from './parser.ts';
import { pythonCalls } from './python-calls.ts';

/** Calls as a list of Python calls: `[f(a="x", b=1), g()]`. */
export const pythonic: ToolParser = { start: (_tools, { uuid }) => new PythonicRun(uuid) };

/** Longest text before the first parenthesis: `[`, a name, `(`. */
const maxBeginning = 256;

class PythonicRun implements ToolParserRun {
  readonly #events: EventList;
  /** The list so far; only joined once it has begun for sure. */
  #list = '';
  #reading: 'text' | 'beginning' | 'list' = 'text';
  #named: 'not yet' | 'begun' | 'done' = 'not yet';
  #depth = 0;
  #quote = '';
  #escaped = false;

  constructor(uuid: () => string) {
    this.#events = new EventList(uuid, (_uuid, index) => `call-${index + 1}`);
  }

  push(text: string): readonly ParserEvent[] {
    for (let at = 0; at < text.length;) at = this.#reading === 'text' ? this.#inText(text, at) : this.#inList(text, at);
    return this.#events.take();
  }

  end(): readonly ParserEvent[] {
    // What closes like a list of calls was meant as one and is dropped, as in 1.6.1; anything else is text.
    if (this.#reading === 'beginning' || (this.#reading === 'list' && !this.#list.includes(')]'))) this.#events.text(this.#list);
    this.#reading = 'text';
    return this.#events.close();
  }

  #inText(text: string, from: number): number {
    const at = text.indexOf('[', from);
    const end = at < 0 ? text.length : at;
    if (end > from) this.#events.text(text.slice(from, end));
    if (at < 0) return end;
    this.#reading = 'beginning';
    this.#list = '[';
    this.#named = 'not yet';
    this.#depth = 1;
    this.#quote = '';
    this.#escaped = false;
    return at + 1;
  }

  #inList(text: string, from: number): number {
    let at = from;
    while (at < text.length) {
      const char = text[at] as string;
      if (this.#reading === 'beginning') {
        if (!this.#begins(char) || this.#list.length > maxBeginning) {
          this.#events.text(this.#list);
          this.#reading = 'text';
          return at;
        }
        this.#list += char;
        if (char === '(') {
          this.#reading = 'list';
          this.#depth++;
        }
        at++;
        from = at;
        continue;
      }
      at++;
      if (!this.#closes(char)) continue;
      this.#list += text.slice(from, at);
      this.#whole();
      return at;
    }
    if (this.#reading === 'list') this.#list += text.slice(from, at);
    return at;
  }

  /** Whether a list may still become one of calls with this character. */
  #begins(char: string): boolean {
    if (' \n\r\t'.includes(char)) {
      if (this.#named === 'begun') this.#named = 'done';
      return true;
    }
    if (char === '(') return this.#named !== 'not yet';
    if (this.#named === 'done' || !(this.#named === 'begun' ? /\w/ : /[A-Za-z_]/).test(char)) return false;
    this.#named = 'begun';
    return true;
  }

  /** Whether a character ends the list. */
  #closes(char: string): boolean {
    if (this.#escaped) this.#escaped = false;
    else if (this.#quote !== '') {
      if (char === '\\') this.#escaped = true;
      else if (char === this.#quote) this.#quote = '';
    } else if (char === '"' || char === "'") this.#quote = char;
    else if ('([{'.includes(char)) this.#depth++;
    else if (')]}'.includes(char)) return --this.#depth === 0;
    return false;
  }

  #whole(): void {
    this.#reading = 'text';
    const calls = pythonCalls(this.#list);
    if (calls !== undefined) for (const call of calls) this.#events.call(call);
    else this.#events.text(this.#list);
  }
}
