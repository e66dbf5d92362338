import { JsonScan } from '../text/json-scan.ts';
import { MarkerSearch } from '../text/marker-search.ts';
import { CallPieces } from './call-pieces.ts';
import { EventList } from './events.ts';
import { callMembers, callsOf } from './json-calls.ts';
import type { ParserEvent, ToolParser, ToolParserOptions, ToolParserRun, ToolSpec } from './parser.ts';

/** How a family marks calls that are JSON objects, or lists of them. */
export interface JsonFamily {
  /** Markers before the JSON. */
  readonly open: readonly string[];
  /** Whether a marker is a word of its own right, which is text where no JSON follows at once. */
  readonly word?: boolean;
  /** Markers behind it; a family may have none, and a model may forget its own. */
  readonly close?: readonly string[];
  /** What may stand between two calls of one marker. */
  readonly separator?: string;
  /** Whether a call may come without a marker, as a JSON object or list in the text; default true. */
  readonly bare?: boolean;
  /** What becomes of marked text that is no call; default `drop`, as in 1.6.1. */
  readonly garbage?: 'drop' | 'text';
  /** What becomes of a marked call that the answer's end cuts off; default `drop`. */
  readonly truncated?: 'drop' | 'text';
}

/** A parser for a family whose calls are JSON. */
export function jsonFamily(family: JsonFamily): ToolParser {
  const bare = family.bare ?? true;
  const rules: Rules = {
    ...family,
    bare,
    opens: new MarkerSearch(family.open),
    starts: new MarkerSearch(bare ? [...family.open, '{', '['] : family.open),
    closes: new MarkerSearch(family.close ?? []),
  };
  return {
    start: (tools, options) => new JsonRun(options.demanded === true ? { ...rules, bare: false, starts: rules.opens } : rules, tools, options),
  };
}

interface Rules extends JsonFamily {
  readonly opens: MarkerSearch;
  /** What ends text: a marker, or the beginning of what may be a call without one. */
  readonly starts: MarkerSearch;
  readonly closes: MarkerSearch;
  readonly bare: boolean;
}

/** Most white space and marker that is waited for behind a call before it counts as text. */
const maxTail = 1024;
const space = (char: string | undefined): boolean => char === ' ' || char === '\n' || char === '\r' || char === '\t';

/** `text`: outside of calls. `value`: behind an opening marker. `bare`: in what may be a call without one. `behind`: after a marked call. `garbage`: in marked text that is none. */
type Mode = 'text' | 'value' | 'bare' | 'behind' | 'garbage';

class JsonRun implements ToolParserRun {
  readonly #rules: Rules;
  readonly #events: EventList;
  /** Names of the functions that the model may call. */
  readonly #known: ReadonlySet<string>;
  /** Whether calls are told as they come, and what was told of the value that is being read. */
  readonly #inPieces: boolean;
  #pieces: CallPieces | undefined;
  #mode: Mode = 'text';
  #scan = new JsonScan();
  /** The marker and JSON of the call so far; only joined, never searched, until it is whole. */
  #marker = '';
  #json = '';
  /** Whether the value has begun, behind white space. */
  #begun = false;
  #held = '';

  constructor(rules: Rules, tools: readonly ToolSpec[], { uuid, pieces }: ToolParserOptions) {
    this.#rules = rules;
    this.#known = new Set(tools.map(({ name }) => name));
    this.#events = new EventList(uuid);
    this.#inPieces = pieces === true;
  }

  push(piece: string): readonly ParserEvent[] {
    const text = this.#held === '' ? piece : this.#held + piece;
    this.#held = '';
    this.#feed(text, 0);
    return this.#events.take();
  }

  end(): readonly ParserEvent[] {
    this.#finish();
    this.#mode = 'text';
    return this.#events.close();
  }

  #feed(text: string, from: number): void {
    for (let at = from; at < text.length;) at = this.#step(text, at);
  }

  #finish(): void {
    const rest = this.#held;
    this.#held = '';
    if (this.#mode === 'bare' || this.#mode === 'value') this.#pieces?.end();
    if (this.#mode === 'bare') this.#events.text(this.#untold() + rest);
    else if (this.#mode === 'text' || this.#mode === 'behind') this.#events.text(rest);
    else if (this.#rules.truncated === 'text' && this.#mode === 'value') this.#events.text(this.#untold() + rest);
    else if (this.#mode === 'value') this.#goOn();
  }

  /** A string that nobody closed has taken the closing marker for its own: what stands behind the marker is read after all. */
  #goOn(): void {
    const json = this.#json;
    const close = this.#rules.closes.find(json, 0);
    if (close === undefined) return;
    this.#mode = 'text';
    this.#feed(json, close.end);
    this.#finish();
  }

  #step(text: string, at: number): number {
    if (this.#mode === 'text') return this.#inText(text, at);
    if (this.#mode === 'behind') return this.#behind(text, at);
    if (this.#mode === 'garbage') return this.#inGarbage(text, at);
    return this.#inValue(text, at);
  }

  #inText(text: string, at: number): number {
    const { opens, starts } = this.#rules;
    const found = starts.find(text, at);
    if (found === undefined) {
      const begun = opens.begun(text, at);
      if (text.length - begun > at) this.#events.text(text.slice(at, text.length - begun));
      this.#held = text.slice(text.length - begun);
      return text.length;
    }
    if (found.at > at) this.#events.text(text.slice(at, found.at));
    if (found.marker === '{' || found.marker === '[') {
      if (opens.begins(text, found.at)) {
        this.#held = text.slice(found.at);
        return text.length;
      }
      this.#enter('bare', '');
      return found.at;
    }
    this.#events.markup();
    this.#enter('value', found.marker);
    return found.end;
  }

  #enter(mode: 'value' | 'bare', marker: string): void {
    this.#mode = mode;
    this.#marker = marker;
    this.#json = '';
    this.#begun = false;
    this.#scan = mode === 'bare' ? new JsonScan(callMembers) : new JsonScan();
    if (this.#inPieces) this.#pieces = new CallPieces(this.#events);
  }

  #inValue(text: string, from: number): number {
    let at = from;
    if (!this.#begun) {
      while (at < text.length && space(text[at])) at++;
      this.#json += text.slice(from, at);
      this.#pieces?.feed(text.slice(from, at));
      if (at === text.length) return at;
      this.#begun = true;
      if (this.#rules.word === true && this.#marker !== '' && text[at] !== '{' && text[at] !== '[') {
        this.#release();
        return at;
      }
    }
    const end = this.#scan.feed(text, at);
    this.#json += text.slice(at, end);
    this.#pieces?.feed(text.slice(at, end));
    if (this.#scan.failed) this.#failed();
    if (this.#scan.done) this.#whole();
    return end;
  }

  #whole(): void {
    const bare = this.#mode === 'bare';
    const calls = callsOf(this.#json, bare ? { known: this.#known } : {});
    if (calls === undefined) {
      if (bare || this.#rules.garbage === 'text') this.#release();
      else this.#mode = 'garbage';
      return;
    }
    for (const call of this.#pieces === undefined ? calls : calls.slice(this.#pieces.told)) this.#events.call(call);
    this.#mode = bare && this.#rules.separator === undefined ? 'text' : 'behind';
  }

  /** The value turned out to be no JSON: what was read of it is text, or is dropped with what follows. */
  #failed(): void {
    this.#pieces?.end();
    if (this.#mode === 'value' && this.#rules.garbage !== 'text') this.#mode = 'garbage';
    else this.#release();
  }

  #release(): void {
    this.#events.text(this.#untold());
    this.#mode = 'text';
  }

  /** The marker and the value but for the calls that were told already. */
  #untold(): string {
    const pieces = this.#pieces;
    return pieces === undefined || pieces.told === 0 ? this.#marker + this.#json : this.#json.slice(pieces.length);
  }

  #inGarbage(text: string, at: number): number {
    const found = this.#rules.closes.find(text, at);
    if (found !== undefined) {
      this.#mode = 'text';
      return found.end;
    }
    const begun = this.#rules.closes.begun(text, at);
    if (begun > 0) this.#held = text.slice(text.length - begun);
    return text.length;
  }

  /** Behind a call: its closing marker, another call, or text again. */
  #behind(text: string, from: number): number {
    let at = from;
    let separated = false;
    const { separator, closes } = this.#rules;
    for (; at < text.length && (space(text[at]) || (!separated && text[at] === separator)); at++) separated ||= text[at] === separator;
    const rest = text.slice(at, at + maxTail);
    const undecided = rest === '' || closes.markers.some((close) => close.length > rest.length && close.startsWith(rest));
    if (undecided && text.length - from <= maxTail) {
      this.#held = text.slice(from);
      return text.length;
    }
    const close = closes.markers.find((marker) => rest.startsWith(marker));
    if (close !== undefined) {
      this.#mode = 'text';
      return at + close.length;
    }
    if (rest.startsWith('{') && (separated || closes.markers.length > 0)) {
      this.#enter('value', '');
      return at;
    }
    this.#mode = 'text';
    return from;
  }
}
