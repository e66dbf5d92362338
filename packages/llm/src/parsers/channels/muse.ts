import { Cutter, type Reading } from '../text/cutter.ts';
import { MarkerSearch } from '../text/marker-search.ts';
import { argumentsText, jsonOrText } from '../tools/arguments.ts';
import { between } from '../tools/attributes.ts';
import { EventList } from '../tools/events.ts';
import type { ParserEvent, WholeCall } from '../tools/parser.ts';
import type { ChannelFamily, ChannelOptions, ChannelRun } from './channel.ts';

const message = '<|message|>';
const start = '<|start|>';
const search = new MarkerSearch([message, start, '<|eom|>']);

/** Longest header: a recipient's name with the white space before it. */
const maxHeader = 256;

/** Muse: messages to a recipient, ` to=self<|message|>…<|eom|>`, where `self` gets thoughts, `user` answers and a tool its call. */
export const museChannels: ChannelFamily = { start: (options) => new MuseRun(options), thoughts: 'keep' };

class MuseRun implements ChannelRun {
  readonly #events: EventList;
  /** Thoughts are text. */
  readonly #shown: boolean;
  readonly #cutter: Cutter;
  /** Outside of messages; what is there and no header is an answer. */
  readonly #open: Reading;
  readonly #header: Reading;
  readonly #thought: Reading;
  readonly #answer: Reading;
  readonly #call: Reading;
  /** The end of the text, which may be the next message's header. */
  #tail = '';
  #head = '';
  #block = '';

  constructor({ uuid, shown }: ChannelOptions) {
    this.#shown = shown === true;
    this.#events = new EventList(uuid);
    this.#open = { ends: search, text: (piece) => this.#keepTail(piece, 'text'), marker: (marker) => this.#leaveOpen(marker) };
    this.#thought = { ends: search, text: (piece) => this.#keepTail(piece, 'thought'), marker: (marker) => this.#leaveThought(marker) };
    this.#answer = {
      ends: search,
      text: (piece) => this.#events.text(piece),
      marker: (marker) => (marker === message ? this.#answer : this.#after(marker)),
    };
    this.#header = {
      ends: search,
      text: (piece) => {
        this.#head = (this.#head + piece).slice(-maxHeader);
      },
      marker: (marker) => (marker === message ? this.#to(/(?:^|\s)to=(\S+)\s*$/.exec(this.#head)?.[1]) : this.#after(marker)),
    };
    this.#call = {
      ends: search,
      text: (piece) => {
        this.#block += piece;
      },
      marker: (marker) => {
        if (marker === message) return this.#call;
        this.#finishCall();
        return this.#after(marker);
      },
    };
    this.#cutter = new Cutter(this.#open);
  }

  get inside(): boolean {
    return !this.#shown && this.#cutter.reading === this.#thought;
  }

  push(text: string): readonly ParserEvent[] {
    this.#cutter.push(text);
    return this.#events.take();
  }

  end(): readonly ParserEvent[] {
    const { reading } = this.#cutter;
    const rest = this.#cutter.rest();
    if (reading === this.#open) this.#events.text(this.#takeTail() + rest);
    else if (reading === this.#thought) this.#think(this.#takeTail());
    else if (reading === this.#header) this.#events.text(this.#head);
    else if (reading === this.#answer) this.#events.text(rest);
    else this.#finishCall();
    return this.#events.close();
  }

  #think(text: string): void {
    if (this.#shown) this.#events.text(text);
    else this.#events.thought(text);
  }

  #takeTail(): string {
    const tail = this.#tail;
    this.#tail = '';
    return tail;
  }

  /** Passes text on but for its end, where that may be white space and a header. */
  #keepTail(piece: string, kind: 'text' | 'thought'): void {
    const text = this.#takeTail() + piece;
    let word = text.length;
    while (word > 0 && text.length - word <= maxHeader && !isSpace(text[word - 1])) word--;
    const last = text.slice(word);
    const isHeader = last === '' || 'to='.startsWith(last) || last.startsWith('to=');
    let from = isHeader ? word : text.length;
    while (isHeader && kind === 'text' && from > 0 && isSpace(text[from - 1]) && text.length - from <= maxHeader) from--;
    if (text.length - from > maxHeader) from = text.length;
    if (kind === 'text') this.#events.text(text.slice(0, from));
    else this.#think(text.slice(0, from));
    this.#tail = text.slice(from);
  }

  #leaveOpen(marker: string): Reading {
    const tail = this.#takeTail();
    const to = marker === message ? /^\s*to=(\S+)$/.exec(tail)?.[1] : undefined;
    if (to === undefined) this.#events.text(tail);
    return marker === message ? this.#to(to) : this.#after(marker);
  }

  #leaveThought(marker: string): Reading {
    const tail = this.#takeTail();
    const to = marker === message ? /^to=(\S+)$/.exec(tail)?.[1] : undefined;
    if (to === undefined) this.#think(tail);
    if (marker !== message) return this.#after(marker);
    return to === undefined ? this.#thought : this.#to(to);
  }

  #after(marker: string): Reading {
    this.#head = '';
    return marker === start ? this.#header : this.#open;
  }

  #to(recipient: string | undefined): Reading {
    if (recipient === 'self') return this.#thought;
    if (recipient === undefined || recipient === 'user') return this.#answer;
    this.#block = '';
    return this.#call;
  }

  #finishCall(): void {
    for (const block of between(this.#block, '<atem:invoke name="', '</atem:invoke>')) {
      const call = readCall(block);
      if (call !== undefined) this.#events.call(call);
    }
    this.#block = '';
  }
}

function readCall(block: string): WholeCall | undefined {
  const end = block.indexOf('">');
  if (end <= 0) return undefined;
  const name = block.slice(0, end);
  const members: [string, string][] = [];
  for (const part of between(block.slice(end), '<atem:parameter name="', '</atem:parameter>')) {
    const close = part.indexOf('">');
    if (close < 0) continue;
    const key = part.slice(0, close);
    members.push([key, jsonOrText(part.slice(close + 2))]);
  }
  return { name, arguments: argumentsText(members) };
}

const isSpace = (char: string | undefined): boolean => char === ' ' || char === '\n' || char === '\t' || char === '\r';
