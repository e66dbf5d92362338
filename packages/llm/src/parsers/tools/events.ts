import type { ParserEvent, WholeCall } from './parser.ts';

/** How a family's calls are named when the model names none. */
export type CallId = (uuid: () => string, index: number) => string;

/** `call-<uuid>`, the id of most families (spec llm 6). */
export const dashedId: CallId = (uuid) => `call-${uuid()}`;

/** Most white space that may stand between two calls and belong to neither. */
const maxGap = 1024;

/** Gathers the events of one push; between two calls white space alone is markup and no text. */
export class EventList {
  readonly #uuid: () => string;
  readonly #id: CallId;
  #events: ParserEvent[] = [];
  #calls = 0;
  #gap: string | undefined;

  constructor(uuid: () => string, id: CallId = dashedId) {
    this.#uuid = uuid;
    this.#id = id;
  }

  text(text: string): void {
    if (this.#gap === undefined) {
      if (text !== '') this.#events.push({ type: 'text', text });
      return;
    }
    this.#gap += text;
    if (this.#gap.length <= maxGap && this.#gap.trimStart() === '') return;
    this.#events.push({ type: 'text', text: this.#gap });
    this.#gap = undefined;
  }

  thought(text: string): void {
    if (text !== '') this.#events.push({ type: 'reasoning', text });
  }

  /** White space before the first call is markup as well. */
  expectCall(): void {
    this.#gap = '';
  }

  /** Markup begins: white space since the last call was none. */
  markup(): void {
    if (this.#gap !== undefined) this.#gap = '';
  }

  call(call: WholeCall): void {
    const index = this.start(call.name, call.id);
    this.#events.push({ type: 'tool-call-delta', index, arguments: call.arguments });
    this.finish(index);
  }

  start(name: string, id?: string): number {
    const index = this.#calls++;
    this.markup();
    this.#events.push({ type: 'tool-call-start', index, id: id ?? this.#id(this.#uuid, index), name });
    return index;
  }

  arguments(index: number, text: string): void {
    if (text !== '') this.#events.push({ type: 'tool-call-delta', index, arguments: text });
  }

  /** Ends a call; `whole` is false where the arguments that were told are no JSON. */
  finish(index: number, whole = true): void {
    this.#events.push(whole ? { type: 'tool-call-end', index } : { type: 'tool-call-end', index, broken: true });
    this.#gap = '';
  }

  /** What was found since the last time. */
  take(): readonly ParserEvent[] {
    if (this.#events.length === 0) return none;
    const events = this.#events;
    this.#events = [];
    return events;
  }

  /** The last of it. */
  close(): readonly ParserEvent[] {
    if (this.#gap !== undefined && this.#gap !== '') this.#events.push({ type: 'text', text: this.#gap });
    this.#gap = undefined;
    return this.take();
  }
}

const none: readonly never[] = [];
