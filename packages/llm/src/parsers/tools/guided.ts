import { JsonScan } from '../text/json-scan.ts';
import { EventList } from './events.ts';
import { callsOf } from './json-calls.ts';
import type { ParserEvent, ToolParserRun } from './parser.ts';

/** Most text that is waited through for the JSON of a demanded call. */
const maxLead = 1 << 20;

/**
 * Reads the calls of an answer whose client demanded one: a list of `{name, parameters}`, or the bare arguments of the
 * function that was named (spec llm 6). Arguments come piece by piece, as 1.6.1 sends them.
 *
 * Text before the JSON is dropped when the JSON comes and stays text when it doesn't.
 */
export class GuidedRun implements ToolParserRun {
  readonly #events: EventList;
  /** The function whose bare arguments may come. */
  readonly #named: string | undefined;
  #reading: 'lead' | 'object' | 'arguments' | 'tail' | 'between' | 'behind' = 'lead';
  #lead = '';
  #bracket = '';
  /** Whether the calls are a list's. */
  #listed = false;
  #scan = new JsonScan();
  #item: ItemHead | undefined;
  #call = 0;

  constructor(uuid: () => string, named: string | undefined) {
    this.#events = new EventList(uuid);
    this.#named = named;
  }

  push(text: string): readonly ParserEvent[] {
    for (let at = 0; at < text.length;) at = this.#step(text, at);
    return this.#events.take();
  }

  end(): readonly ParserEvent[] {
    if (this.#reading === 'arguments') this.#events.finish(this.#call);
    else if (this.#reading === 'lead') this.#events.text(this.#lead + this.#bracket);
    else if (this.#reading === 'object') this.#events.text(this.#lead + (this.#item?.text ?? ''));
    return this.#events.close();
  }

  #step(text: string, at: number): number {
    if (this.#reading === 'arguments') return this.#inArguments(text, at);
    if (this.#reading === 'object') return this.#inObject(text, at);
    if (this.#reading === 'tail') return this.#inTail(text, at);
    const char = text[at] as string;
    if (this.#reading === 'lead') return this.#inLead(text, at, char);
    if (this.#reading === 'between') return this.#between(at, char);
    this.#events.text(text.slice(at));
    return text.length;
  }

  /** Behind an object: the next one, the list's end, or text. */
  #between(at: number, char: string): number {
    if (!this.#listed || !' \n\r\t,{]}'.includes(char)) {
      this.#reading = 'behind';
      return at;
    }
    if (char === '{') this.#open();
    else if (char === ']') this.#reading = 'behind';
    return char === '{' ? at : at + 1;
  }

  /** Before the JSON: `[` must be followed by an object, or it was text. */
  #inLead(text: string, at: number, char: string): number {
    if (this.#bracket !== '' && !' \n\r\t{'.includes(char)) {
      this.#lead += this.#bracket;
      this.#bracket = '';
    }
    if (char === '{') {
      if (this.#named !== undefined && this.#bracket === '') {
        this.#item = undefined;
        this.#begin(this.#named);
        this.#scan = new JsonScan();
      } else this.#open();
      return at;
    }
    if (char === '[') this.#bracket = char;
    else if (this.#bracket !== '') this.#bracket += char;
    else {
      const end = nextBrace(text, at);
      this.#lead += text.slice(at, end);
      if (this.#lead.length > maxLead) this.#spill();
      return end;
    }
    return at + 1;
  }

  #spill(): void {
    this.#events.text(this.#lead);
    this.#lead = '';
  }

  #open(): void {
    this.#reading = 'object';
    this.#listed ||= this.#bracket !== '';
    this.#lead += this.#bracket;
    this.#bracket = '';
    this.#item = new ItemHead((name) => this.#wants(name));
    this.#scan = new JsonScan();
  }

  #inObject(text: string, at: number): number {
    const item = this.#item as ItemHead;
    const from = item.feed(text, at);
    if (item.name !== undefined && item.atArguments && text[from] === '{') {
      this.#begin(item.name);
      this.#scan = new JsonScan();
      return from;
    }
    if (item.ended) this.#whole(item);
    return from;
  }

  /** An object whose name came last, or that is no call: then all of it is text. */
  #whole(item: ItemHead): void {
    const calls = callsOf(item.text);
    if (calls === undefined) {
      this.#events.text(this.#lead + item.text);
      this.#lead = '';
      this.#reading = 'behind';
      return;
    }
    this.#lead = '';
    for (const call of calls) if (this.#wants(call.name)) this.#events.call(call);
    this.#reading = 'between';
  }

  /** Where one function was demanded, calls of others are dropped (1.6.1). */
  #wants(name: string): boolean {
    return this.#named === undefined || this.#named === name;
  }

  #begin(name: string): void {
    this.#lead = '';
    this.#call = this.#events.start(name);
    this.#reading = 'arguments';
  }

  #inArguments(text: string, at: number): number {
    const end = this.#scan.feed(text, at);
    this.#events.arguments(this.#call, text.slice(at, end));
    if (!this.#scan.done && !this.#scan.failed) return end;
    this.#events.finish(this.#call);
    this.#reading = this.#scan.failed ? 'behind' : this.#item === undefined ? 'between' : 'tail';
    return end;
  }

  /** Behind the arguments: what else the call's object holds. */
  #inTail(text: string, at: number): number {
    const item = this.#item as ItemHead;
    const from = item.skip(text, at);
    if (item.ended) this.#reading = 'between';
    return from;
  }
}

function nextBrace(text: string, from: number): number {
  for (let at = from; at < text.length; at++) if (text[at] === '{' || text[at] === '[') return at;
  return text.length;
}

/** Follows an object up to its arguments, or to its end where the name comes last. */
class ItemHead {
  /** What was read before somebody else read the arguments. */
  text = '';
  name: string | undefined;
  ended = false;
  #depth = 0;
  #string: string | undefined;
  #escaped = false;
  #key: string | undefined;
  #value = false;
  readonly #wants: (name: string) => boolean;

  constructor(wants: (name: string) => boolean) {
    this.#wants = wants;
  }

  /** Whether the value of the arguments comes next. */
  get atArguments(): boolean {
    return (
      this.name !== undefined &&
      this.#wants(this.name) &&
      this.#depth === 1 &&
      this.#value &&
      (this.#key === 'parameters' || this.#key === 'arguments')
    );
  }

  /** Reads up to the arguments or the object's end. */
  feed(text: string, from: number): number {
    let at = from;
    for (; at < text.length && !this.ended; at++) {
      const char = text[at] as string;
      if (this.atArguments && char === '{') break;
      this.#read(char);
    }
    this.text += text.slice(from, at);
    return at;
  }

  /** Reads on to the object's end, behind arguments that somebody else has read. */
  skip(text: string, from: number): number {
    let at = from;
    for (; at < text.length && !this.ended; at++) this.#read(text[at] as string);
    return at;
  }

  #read(char: string): void {
    if (this.#string !== undefined) {
      if (this.#escaped) this.#escaped = false;
      else if (char === '\\') this.#escaped = true;
      else if (char === '"') return this.#closeString();
      this.#string += char;
    } else if (char === '"') this.#string = '';
    else if (char === '{' || char === '[') this.#depth++;
    else if (char === '}' || char === ']') this.ended = --this.#depth === 0;
    else if (this.#depth === 1 && char === ':') this.#value = true;
    else if (this.#depth === 1 && char === ',') this.#value = false;
  }

  #closeString(): void {
    const text = this.#string ?? '';
    this.#string = undefined;
    if (this.#depth !== 1) return;
    if (!this.#value) this.#key = text;
    else if (this.#key === 'name') this.name = text.includes('\\') ? unescaped(text) : text;
  }
}

function unescaped(text: string): string {
  try {
    return JSON.parse(`"${text}"`) as string;
  } catch {
    return text;
  }
}
