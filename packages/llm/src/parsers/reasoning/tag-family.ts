import { Cutter, type Reading } from '../text/cutter.ts';
import { MarkerSearch } from '../text/marker-search.ts';
import type { ReasoningParser, ReasoningRun, ThinkingFacts, ThoughtEvent } from './parser.ts';

/** Where an answer stands before its first marker; `unknown`: a closing marker alone makes what was before it a thought. */
export type Beginning = 'answer' | 'thought' | 'unknown';

/** How a family marks its thoughts. */
export interface TagFamily {
  readonly open: readonly string[];
  readonly close: readonly string[];
  /** Markers that are taken out of answers. */
  readonly dropped?: readonly string[];
  /** What stands at the beginning of a thought and is no part of it. */
  readonly title?: string;
  /** Whether an opening marker in a thought that a marker has opened is taken out too; it is text by default. */
  readonly reopens?: boolean;
  /** Markers of calls, which end a thought and stay in the answer. */
  readonly endedBy?: readonly string[];
  /** Whether it reads thoughts in this request, and where the answer stands at first. By default it does, and the prompt's end tells. */
  readonly begins?: (facts: ThinkingFacts) => Beginning | 'off' | 'off-but-opened';
  /** Whether the beginning of a closing marker at the answer's end is dropped, as 1.6.1 does for some families. */
  readonly dropBegun?: boolean;
}

/** A parser for a family that puts thoughts between two markers. A closing marker outside of a thought is taken out too. */
export function tagFamily(family: TagFamily): ReasoningParser {
  const rules: Rules = {
    ...family,
    answerEnds: new MarkerSearch([...family.open, ...family.close, ...(family.dropped ?? [])]),
    thoughtEnds: new MarkerSearch([...(family.reopens === true ? family.open : []), ...family.close, ...(family.endedBy ?? [])]),
    impliedEnds: new MarkerSearch([...family.open, ...family.close, ...(family.endedBy ?? [])]),
    opens: new Set(family.open),
    closes: new Set(family.close),
    ended: new Set(family.endedBy),
  };
  const beginning = (facts: ThinkingFacts): ReturnType<NonNullable<TagFamily['begins']>> =>
    family.begins === undefined ? (facts.promptOpens === true ? 'thought' : 'answer') : family.begins(facts);
  return {
    isOff: (facts) => beginning(facts).startsWith('off'),
    start: (facts) => {
      const begins = beginning(facts);
      if (begins === 'off') return passing;
      if (begins === 'off-but-opened') return new WithoutOpening(family.open);
      return new TagRun(rules, begins);
    },
  };
}

interface Rules extends TagFamily {
  readonly answerEnds: MarkerSearch;
  readonly thoughtEnds: MarkerSearch;
  readonly impliedEnds: MarkerSearch;
  readonly opens: ReadonlySet<string>;
  readonly closes: ReadonlySet<string>;
  readonly ended: ReadonlySet<string>;
}

const none: readonly never[] = [];

/** Thinking is off: all is answer. */
const passing: ReasoningRun = { push: (text) => (text === '' ? none : [{ type: 'text', text }]), end: () => none, inside: false };

/** Thinking is off, and an opening marker at the very beginning is taken out all the same. */
class WithoutOpening implements ReasoningRun {
  readonly inside = false;
  readonly #open: readonly string[];
  #held: string | undefined = '';

  constructor(open: readonly string[]) {
    this.#open = open;
  }

  push(text: string): readonly ThoughtEvent[] {
    if (this.#held === undefined) return passing.push(text);
    const all = this.#held + text;
    if (this.#open.some((open) => open.length > all.length && open.startsWith(all))) {
      this.#held = all;
      return none;
    }
    this.#held = undefined;
    const open = this.#open.find((marker) => all.startsWith(marker));
    return passing.push(open === undefined ? all : all.slice(open.length));
  }

  end(): readonly ThoughtEvent[] {
    return passing.push(this.#held ?? '');
  }
}

/** Longest text that waits to be told whether it is a thought. */
const maxUnknown = 1 << 18;

class TagRun implements ReasoningRun {
  readonly #rules: Rules;
  readonly #cutter: Cutter;
  readonly #answer: Reading;
  /** In a thought that a marker has opened. */
  readonly #thought: Reading;
  /** In a thought without a marker yet: one that still comes is its opening. */
  readonly #implied: Reading;
  readonly #unknown: Reading;
  #events: ThoughtEvent[] = [];
  #waiting = '';
  /** The title as far as it has come; undefined behind it. */
  #title: string | undefined;

  constructor(rules: Rules, beginning: Beginning) {
    this.#rules = rules;
    this.#answer = {
      ends: rules.answerEnds,
      text: (text) => this.#events.push({ type: 'text', text }),
      marker: (marker) => (rules.opens.has(marker) ? this.#open() : this.#answer),
    };
    this.#thought = { ends: rules.thoughtEnds, text: (text) => this.#think(text), marker: (marker) => this.#leave(marker) };
    this.#implied = { ...this.#thought, ends: rules.impliedEnds };
    this.#unknown = {
      ends: rules.impliedEnds,
      text: (text) => {
        this.#waiting += text;
      },
      marker: (marker) => {
        this.#settle(rules.opens.has(marker) ? 'text' : 'reasoning');
        return this.#leave(marker);
      },
    };
    this.#cutter = new Cutter({ answer: this.#answer, thought: this.#implied, unknown: this.#unknown }[beginning]);
  }

  #open(): Reading {
    if (this.#rules.title !== undefined) this.#title = '';
    return this.#thought;
  }

  #leave(marker: string): Reading {
    this.#endTitle();
    if (this.#rules.opens.has(marker)) return this.#open();
    if (this.#rules.ended.has(marker)) this.#events.push({ type: 'text', text: marker });
    return this.#answer;
  }

  #think(piece: string): void {
    const { title } = this.#rules;
    if (this.#title === undefined || title === undefined) {
      this.#events.push({ type: 'reasoning', text: piece });
      return;
    }
    this.#title += piece;
    if (this.#title.length < title.length && title.startsWith(this.#title)) return;
    if (this.#title.startsWith(title)) this.#title = this.#title.slice(title.length);
    this.#endTitle();
  }

  /** What is held of a title is none of it. */
  #endTitle(): void {
    if (this.#title !== undefined && this.#title !== '') this.#events.push({ type: 'reasoning', text: this.#title });
    this.#title = undefined;
  }

  get inside(): boolean {
    return this.#cutter.reading === this.#thought || this.#cutter.reading === this.#implied;
  }

  push(text: string): readonly ThoughtEvent[] {
    this.#cutter.push(text);
    if (this.#waiting.length > maxUnknown) this.#settle('text');
    return this.#take();
  }

  end(): readonly ThoughtEvent[] {
    if (this.inside && this.#rules.dropBegun === true) this.#cutter.rest();
    else this.#cutter.flush();
    this.#endTitle();
    this.#settle('text');
    return this.#take();
  }

  #settle(type: ThoughtEvent['type']): void {
    if (this.#waiting !== '') this.#events.push({ type, text: this.#waiting });
    this.#waiting = '';
  }

  #take(): readonly ThoughtEvent[] {
    if (this.#events.length === 0) return none;
    const events = this.#events;
    this.#events = [];
    return events;
  }
}
