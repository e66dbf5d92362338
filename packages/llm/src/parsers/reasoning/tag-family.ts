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
    thoughtEnds: new MarkerSearch([...family.open, ...family.close, ...(family.endedBy ?? [])]),
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
  readonly #thought: Reading;
  readonly #unknown: Reading;
  #events: ThoughtEvent[] = [];
  #waiting = '';

  constructor(rules: Rules, beginning: Beginning) {
    this.#rules = rules;
    this.#answer = {
      ends: rules.answerEnds,
      text: (text) => this.#events.push({ type: 'text', text }),
      marker: (marker) => (rules.opens.has(marker) ? this.#thought : this.#answer),
    };
    this.#thought = {
      ends: rules.thoughtEnds,
      text: (text) => this.#events.push({ type: 'reasoning', text }),
      marker: (marker) => {
        if (rules.opens.has(marker)) return this.#thought;
        if (rules.ended.has(marker)) this.#events.push({ type: 'text', text: marker });
        return this.#answer;
      },
    };
    this.#unknown = {
      ends: rules.answerEnds,
      text: (text) => {
        this.#waiting += text;
      },
      marker: (marker) => {
        this.#settle(rules.closes.has(marker) ? 'reasoning' : 'text');
        return rules.opens.has(marker) ? this.#thought : this.#answer;
      },
    };
    this.#cutter = new Cutter(beginning === 'answer' ? this.#answer : beginning === 'thought' ? this.#thought : this.#unknown);
  }

  get inside(): boolean {
    return this.#cutter.reading === this.#thought;
  }

  push(text: string): readonly ThoughtEvent[] {
    this.#cutter.push(text);
    if (this.#waiting.length > maxUnknown) this.#settle('text');
    return this.#take();
  }

  end(): readonly ThoughtEvent[] {
    if (this.inside && this.#rules.dropBegun === true) this.#cutter.rest();
    else this.#cutter.flush();
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
