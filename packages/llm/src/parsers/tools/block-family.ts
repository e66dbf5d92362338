import { Cutter, type Reading } from '../text/cutter.ts';
import { MarkerSearch } from '../text/marker-search.ts';
import { ArgumentPieces } from './argument-pieces.ts';
import { type CallId, dashedId, EventList } from './events.ts';
import type { ParserEvent, ToolParser, ToolParserOptions, ToolParserRun, ToolSpec, WholeCall } from './parser.ts';

/** How a family marks its calls: blocks between two markers, perhaps within a section. */
export interface BlockFamily {
  /** Markers around all calls of an answer; what is in between and no call is dropped. */
  readonly section?: { readonly open: readonly string[]; readonly close: readonly string[] };
  /** Whether calls count outside of a section too; always, where the family has none. */
  readonly loose?: boolean;
  /** Markers that are taken out of the text. */
  readonly dropped?: readonly string[];
  /** Whether white space alone before the first call is markup; it is text by default. */
  readonly dropsLeading?: boolean;
  /** Markers around one call. */
  readonly open: readonly string[];
  readonly close: readonly string[];
  /** The calls of one block; none where it can't be read. `cut` is true where the answer ended before the block did. */
  readonly read: (block: string, tools: readonly ToolSpec[], cut: boolean) => readonly WholeCall[];
  /** For blocks that hold one JSON object, behind the call's name: the name, by what stands before the object. */
  readonly head?: (head: string) => Pick<WholeCall, 'name' | 'id'> | undefined;
  readonly id?: CallId;
  readonly always?: boolean;
  readonly guided?: boolean;
}

/** A parser for a family whose calls are blocks of markup. */
export function blockFamily(family: BlockFamily): ToolParser {
  const { section } = family;
  const rules: Rules = {
    ...family,
    outside: new MarkerSearch([
      ...(section?.open ?? []),
      ...(family.dropped ?? []),
      ...(section === undefined || family.loose === true ? family.open : []),
    ]),
    inside: new MarkerSearch([...(section?.close ?? []), ...family.open]),
    ends: new MarkerSearch(family.close),
    opens: new Set(family.open),
    sections: new Set(section?.open),
    drops: new Set(family.dropped),
  };
  return {
    start: (tools, options) => new BlockRun(rules, tools, options),
    ...(family.always === undefined ? {} : { always: family.always }),
    ...(family.guided === undefined ? {} : { guided: family.guided }),
  };
}

interface Rules extends BlockFamily {
  readonly outside: MarkerSearch;
  readonly inside: MarkerSearch;
  readonly ends: MarkerSearch;
  readonly opens: ReadonlySet<string>;
  readonly sections: ReadonlySet<string>;
  readonly drops: ReadonlySet<string>;
}

class BlockRun implements ToolParserRun {
  readonly #rules: Rules;
  readonly #tools: readonly ToolSpec[];
  readonly #events: EventList;
  readonly #cutter: Cutter;
  readonly #outside: Reading;
  readonly #inside: Reading;
  readonly #block: Reading;
  /** Where the block that is being read stands. */
  #around: Reading;
  readonly #inPieces: boolean;
  /** The arguments that are told as they come; `whole` where the block is read when it has ended. */
  #pieces: ArgumentPieces | 'whole' | undefined;
  /** The block so far; only joined, never searched, until it is whole. */
  #text = '';

  constructor(rules: Rules, tools: readonly ToolSpec[], { uuid, pieces }: ToolParserOptions) {
    this.#rules = rules;
    this.#tools = tools;
    this.#inPieces = pieces === true && rules.head !== undefined;
    this.#events = new EventList(uuid, rules.id ?? dashedId);
    this.#outside = {
      ends: rules.outside,
      text: (piece) => this.#events.text(piece),
      marker: (marker) => {
        if (rules.drops.has(marker)) return this.#outside;
        this.#events.markup();
        return rules.sections.has(marker) ? this.#inside : this.#open(this.#outside);
      },
    };
    this.#inside = {
      ends: rules.inside,
      text: () => undefined,
      marker: (marker) => (rules.opens.has(marker) ? this.#open(this.#inside) : this.#outside),
    };
    this.#block = {
      ends: rules.ends,
      text: (piece) => this.#addText(piece),
      marker: () => {
        this.#close(false);
        return this.#around;
      },
    };
    this.#around = this.#outside;
    this.#cutter = new Cutter(this.#outside);
    if (rules.dropsLeading === true) this.#events.expectCall();
  }

  push(text: string): readonly ParserEvent[] {
    this.#cutter.push(text);
    return this.#events.take();
  }

  end(): readonly ParserEvent[] {
    const rest = this.#cutter.rest();
    if (this.#cutter.reading === this.#outside) this.#events.text(rest);
    else if (this.#cutter.reading === this.#block) {
      this.#addText(rest);
      this.#close(true);
    }
    return this.#events.close();
  }

  #open(around: Reading): Reading {
    this.#around = around;
    this.#text = '';
    this.#pieces = this.#inPieces ? undefined : 'whole';
    return this.#block;
  }

  #addText(piece: string): void {
    if (this.#pieces === undefined) {
      const at = piece.indexOf('{');
      if (at >= 0) {
        const call = this.#rules.head?.(this.#text + piece.slice(0, at));
        this.#pieces = call === undefined ? 'whole' : new ArgumentPieces(this.#events, { ...call, compact: true });
        if (this.#pieces !== 'whole') this.#pieces.feed(piece, at);
      }
    } else if (this.#pieces !== 'whole') this.#pieces.feed(piece, 0);
    // Behind arguments that are told nothing is kept.
    if (this.#pieces === undefined || this.#pieces === 'whole') this.#text += piece;
  }

  #close(cut: boolean): void {
    if (this.#pieces !== undefined && this.#pieces !== 'whole') return this.#pieces.end();
    for (const call of this.#rules.read(this.#text, this.#tools, cut)) this.#events.call(call);
    this.#text = '';
  }
}
