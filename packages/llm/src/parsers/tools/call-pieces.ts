import { isJson, partsOf } from '../text/json-text.ts';
import { ArgumentPieces } from './argument-pieces.ts';
import type { EventList } from './events.ts';
import { argumentNames } from './json-calls.ts';

/**
 * Tells the calls of one JSON value, an object or a list of them, as their arguments come: for as long as each has its name
 * before its arguments, and these are an object. From the first that has not, all wait for the value's end.
 */
export class CallPieces {
  readonly #events: EventList;
  #open: ArgumentPieces | undefined;
  /** `head`: up to the arguments of a call. `tail`: behind them. `whole`: what is left waits for the value's end. */
  #reading: 'between' | 'head' | 'arguments' | 'tail' | 'whole' = 'between';
  #listed = false;
  #head = '';
  #depth = 0;
  #string = false;
  #escaped = false;
  #read = 0;
  /** How many calls were told, the one under way among them. */
  told = 0;
  /** How much of the value was told, with all that stands before. */
  length = 0;

  constructor(events: EventList) {
    this.#events = events;
  }

  /** Reads a piece of the value. */
  feed(text: string): void {
    for (let at = 0; at < text.length && this.#reading !== 'whole';) {
      const before = this.#reading;
      const end = this.#reading === 'arguments' ? this.#arguments(text, at) : this.#step(text[at] as string, at);
      this.#read += end - at;
      const told = before === 'arguments' || this.#reading === 'arguments' || (before === 'tail' && this.#reading === 'between');
      if (told) this.length = this.#read;
      at = end;
    }
  }

  /** The value ends here, whether it is whole or not. */
  end(): void {
    this.#open?.end();
    this.#open = undefined;
  }

  #arguments(text: string, at: number): number {
    const open = this.#open as ArgumentPieces;
    const end = open.feed(text, at);
    if (open.ended) {
      this.#reading = 'tail';
      this.#open = undefined;
    }
    return end;
  }

  #step(char: string, at: number): number {
    if (this.#reading === 'head' && (this.#string || (char !== '{' && char !== '['))) this.#head += char;
    if (this.#string) {
      if (this.#escaped) this.#escaped = false;
      else if (char === '\\') this.#escaped = true;
      else if (char === '"') this.#string = false;
    } else if (char === '"') this.#string = true;
    else if (char === '{' || char === '[') return this.#opens(char, at);
    else if (char === '}' || char === ']') this.#closes();
    return at + 1;
  }

  #opens(char: string, at: number): number {
    if (this.#reading === 'tail') this.#depth++;
    else if (this.#reading === 'head') {
      const name = char === '{' ? nameOf(this.#head) : undefined;
      if (name === undefined) this.#reading = 'whole';
      else {
        this.#open = new ArgumentPieces(this.#events, { name });
        this.told++;
        this.#reading = 'arguments';
        return at;
      }
    } else if (char === '{') {
      this.#reading = 'head';
      this.#head = char;
    } else if (this.#listed) this.#reading = 'whole';
    else this.#listed = true;
    return at + 1;
  }

  #closes(): void {
    if (this.#reading === 'head') this.#reading = 'whole';
    else if (this.#reading === 'tail' && this.#depth-- === 0) {
      this.#reading = 'between';
      this.#depth = 0;
    }
  }
}

/** The name of a call by what stands before its arguments; undefined if these are not what comes next. */
function nameOf(head: string): string | undefined {
  const json = `${head}null}`;
  if (!isJson(json)) return undefined;
  const members = partsOf(json);
  const name = members.find((member) => member.name === 'name')?.text;
  const given = members.findIndex((member) => argumentNames.has(member.name ?? ''));
  return given === members.length - 1 && name?.startsWith('"') === true ? (JSON.parse(name) as string) : undefined;
}
