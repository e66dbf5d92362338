import { Cutter, type Reading } from '../text/cutter.ts';
import { MarkerSearch } from '../text/marker-search.ts';
import type { ReasoningParser, ReasoningRun, ThoughtEvent } from './parser.ts';

const thinking = '<|content_thinking|>';
const invoking = '<|content_invoke_tool_json|>';
const end = '<|end_message|>';
const headerEnds = new MarkerSearch([thinking, invoking, end, '<|content_text|>', '<|message_model|>']);
const bodyEnds = new MarkerSearch([end]);

/** Longest header of a message: a tool's name. */
const maxHeader = 1024;

/**
 * Inkling: messages of a kind, `<|content_thinking|>…<|end_message|>`, before which the name of a tool may stand.
 *
 * A call is left to the tool parser with its markers. Text without a kind is an answer; 1.6.1 drops it.
 */
export const inkling: ReasoningParser = { start: ({ tools }) => new InklingRun(tools === true) };

class InklingRun implements ReasoningRun {
  readonly #cutter: Cutter;
  readonly #header: Reading;
  readonly #thought: Reading;
  readonly #answer: Reading;
  readonly #call: Reading;
  #events: ThoughtEvent[] = [];
  #head = '';
  /** Whether the header has any text, shown already or not. */
  #headed = false;

  constructor(tools: boolean) {
    this.#header = {
      ends: headerEnds,
      text: (piece) => {
        this.#head += piece;
        this.#headed = true;
        if (this.#head.length > maxHeader) this.#flushHead();
      },
      marker: (marker) => this.#kind(marker, tools),
    };
    const answered = (text: string): void => void this.#events.push({ type: 'text', text });
    this.#thought = { ends: bodyEnds, text: (text) => this.#events.push({ type: 'reasoning', text }), marker: () => this.#header };
    this.#answer = { ends: bodyEnds, text: answered, marker: () => this.#header };
    this.#call = {
      ends: bodyEnds,
      text: answered,
      marker: () => {
        answered(end);
        return this.#header;
      },
    };
    this.#cutter = new Cutter(this.#header);
  }

  get inside(): boolean {
    return this.#cutter.reading === this.#thought;
  }

  push(text: string): readonly ThoughtEvent[] {
    this.#cutter.push(text);
    return this.#take();
  }

  end(): readonly ThoughtEvent[] {
    if (this.#cutter.reading === this.#header && !this.#headed) this.#cutter.rest();
    else this.#cutter.flush();
    this.#flushHead();
    return this.#take();
  }

  #kind(marker: string, tools: boolean): Reading {
    const headed = this.#headed;
    this.#headed = false;
    if (marker === invoking) {
      // The header is the name of the tool, which the call repeats.
      if (!tools) this.#flushHead();
      this.#head = '';
      this.#events.push({ type: 'text', text: invoking });
      return this.#call;
    }
    const thought = marker === thinking && !headed;
    this.#flushHead();
    if (marker === end || marker === '<|message_model|>') return this.#header;
    return thought ? this.#thought : this.#answer;
  }

  #flushHead(): void {
    if (this.#head !== '') this.#events.push({ type: 'text', text: this.#head });
    this.#head = '';
  }

  #take(): readonly ThoughtEvent[] {
    const events = this.#events;
    this.#events = [];
    return events;
  }
}
