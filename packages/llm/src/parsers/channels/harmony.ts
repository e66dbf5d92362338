import { Cutter, type Reading } from '../text/cutter.ts';
import { compactJson } from '../text/json-text.ts';
import { MarkerSearch } from '../text/marker-search.ts';
import { ArgumentPieces } from '../tools/argument-pieces.ts';
import { EventList } from '../tools/events.ts';
import type { ParserEvent } from '../tools/parser.ts';
import type { ChannelFamily, ChannelOptions, ChannelRun } from './channel.ts';

const start = '<|start|>';
const channel = '<|channel|>';
const constrain = '<|constrain|>';
const message = '<|message|>';
const ends: ReadonlySet<string> = new Set(['<|end|>', '<|return|>', '<|call|>']);
const all = [start, channel, constrain, message, ...ends];
const search = new MarkerSearch(all);

/** The header of one message: role, channel and recipient. */
const maxHeader = 4096;

/**
 * The harmony format of gpt-oss: messages with a channel (analysis, commentary, final) and perhaps a recipient, which makes
 * them a call. Text without any channel is an answer (1.6.1 drops it), and every call counts (1.6.1 stops at the first).
 */
export const harmonyChannels: ChannelFamily = { start: (options) => new HarmonyRun(options), tokens: all, thoughts: 'drop' };

class HarmonyRun implements ChannelRun {
  readonly #events: EventList;
  readonly #cutter: Cutter;
  readonly #between: Reading;
  readonly #header: Reading;
  readonly #bodies: Readonly<Record<'text' | 'thought' | 'call', Reading>>;
  #head = '';
  #channel = '';
  #recipient = '';
  #arguments = '';
  /** Whether arguments are told as they come; whether those of the call under way have not begun yet; and those that are told. */
  readonly #inPieces: boolean;
  #awaited = false;
  #pieces: ArgumentPieces | undefined;
  /** How many thoughts have begun: they are joined by line breaks. */
  #thoughts = 0;
  #joint = '';

  constructor({ uuid, pieces }: ChannelOptions) {
    this.#events = new EventList(uuid);
    this.#inPieces = pieces === true;
    this.#between = { ends: search, text: (piece) => this.#events.text(piece), marker: (marker) => this.#next(marker, this.#between) };
    this.#header = {
      ends: search,
      text: (piece) => {
        if (this.#head.length < maxHeader) this.#head += piece;
      },
      marker: (marker) => this.#next(marker, this.#header),
    };
    const body = (text: (piece: string) => void): Reading => {
      const reading: Reading = { ends: search, text, marker: (marker) => this.#next(marker, reading) };
      return reading;
    };
    this.#bodies = {
      text: body((piece) => this.#events.text(piece)),
      thought: body((piece) => {
        this.#events.thought(this.#joint + piece);
        this.#joint = '';
      }),
      call: body((piece) => this.#addArguments(piece)),
    };
    this.#cutter = new Cutter(this.#between);
  }

  get inside(): boolean {
    return this.#cutter.reading === this.#bodies.thought;
  }

  push(text: string): readonly ParserEvent[] {
    this.#cutter.push(text);
    return this.#events.take();
  }

  mark(marker: string): readonly ParserEvent[] {
    this.#cutter.mark(marker);
    return this.#events.take();
  }

  plain(text: string): readonly ParserEvent[] {
    this.#cutter.plain(text);
    return this.#events.take();
  }

  end(): readonly ParserEvent[] {
    this.#cutter.flush();
    this.#finish();
    return this.#events.close();
  }

  #next(marker: string, from: Reading): Reading {
    if (marker === message) return from === this.#header ? this.#body() : from;
    if (marker === constrain) {
      if (from !== this.#header) return from;
      this.#head += ' ';
      return from;
    }
    if (marker === channel && from === this.#header) {
      // A recipient may stand with the role, before the channel.
      this.#recipient = recipientOf(this.#head) ?? '';
      this.#head = '';
      this.#channel = channel;
      return from;
    }
    if (from !== this.#header) this.#finish();
    this.#head = '';
    this.#recipient = '';
    this.#channel = marker === channel ? channel : '';
    return ends.has(marker) ? this.#between : this.#header;
  }

  #body(): Reading {
    const name = this.#channel === '' ? 'final' : (/^\s*(\w+)/.exec(this.#head)?.[1] ?? 'final');
    this.#recipient = recipientOf(this.#head) ?? this.#recipient;
    this.#arguments = '';
    this.#awaited = this.#inPieces;
    if (this.#recipient !== '') return this.#bodies.call;
    if (name !== 'analysis') return this.#bodies.text;
    this.#joint = this.#thoughts++ > 0 ? '\n' : '';
    return this.#bodies.thought;
  }

  #addArguments(piece: string): void {
    let from = 0;
    if (this.#awaited) {
      from = piece.search(/\S/);
      if (from < 0) return;
      this.#awaited = false;
      if (piece[from] === '{') this.#pieces = new ArgumentPieces(this.#events, { name: this.#recipient, compact: true });
    }
    if (this.#pieces === undefined) this.#arguments += piece;
    else this.#pieces.feed(piece, from);
  }

  /** Ends a call, if it is one: the vocabulary's end of a call may end the answer before its text comes. */
  #finish(): void {
    if (this.#cutter.reading !== this.#bodies.call) return;
    this.#pieces?.end();
    const json = this.#pieces === undefined ? compactJson(this.#arguments.trim()) : undefined;
    this.#pieces = undefined;
    if (json !== undefined) this.#events.call({ name: this.#recipient, arguments: json });
    this.#arguments = '';
  }
}

const recipientOf = (header: string): string | undefined => /(?:^|\s)to=(?:functions\.)?(\S+)/.exec(header)?.[1];
