import type { Run, Stage } from '@dynamo/runtime/internal';
import type { AnswerParser, AnswerRun } from '../parsers/answer-parser.ts';
import type { ParserEvent } from '../parsers/tools/parser.ts';
import type { TextChunk } from './to-text.ts';

/** A piece of a tool call; the first one of a call has its id and name. */
export interface CallDelta {
  readonly index: number;
  readonly id?: string;
  readonly name?: string;
  arguments: string;
  /** True on the piece that completes the call. */
  done?: boolean;
  /** True on the last piece of a call whose arguments came as they were written and are no JSON. */
  broken?: boolean;
}

/** A chunk whose text was read by the model's parsers: `text` is what is left for the answer's content. */
export interface AnswerChunk extends TextChunk {
  /** A piece of a thought. */
  reasoning?: string;
  calls?: readonly CallDelta[];
  /** True on the chunk that ends an answer in which tools were called; a broken call is none. */
  called?: boolean;
  /** True where the text is held back, as it may be a call's: nobody is told of such a chunk. */
  held?: boolean;
  /** How many of the chunk's tokens are thoughts. */
  reasoningTokens?: number;
}

/**
 * Reads thoughts and calls off an answer's text (spec llm 6).
 *
 * Often one chunk comes out for each that goes in; one that holds both text and calls becomes several, so that their order
 * is kept. `marks` names the tokens that are markers whatever text around them is spelled like; the stage `splitAtTokens`
 * makes each of them a chunk of its own.
 */
export const parseAnswer =
  (parser: AnswerParser, marks: ReadonlyMap<number, string> = new Map()): Stage<TextChunk, AnswerChunk> =>
  (): Run<TextChunk, AnswerChunk> => {
    const answers = new Map<number, ParsedAnswer>();
    return {
      push(batch) {
        const chunks: AnswerChunk[] = [];
        for (const chunk of batch) {
          const index = chunk.index ?? 0;
          let answer = answers.get(index);
          if (answer === undefined) answers.set(index, (answer = new ParsedAnswer(parser.start(), marks)));
          answer.read(chunk, chunks);
        }
        return chunks;
      },
      end() {
        const chunks: AnswerChunk[] = [];
        for (const [index, answer] of answers) answer.leave(index, chunks);
        return chunks;
      },
    };
  };

class ParsedAnswer {
  readonly #run: AnswerRun;
  readonly #marks: ReadonlyMap<number, string>;
  #called = false;
  #ended = false;

  constructor(run: AnswerRun, marks: ReadonlyMap<number, string>) {
    this.#run = run;
    this.#marks = marks;
  }

  read(chunk: TextChunk, into: AnswerChunk[]): void {
    const ends = chunk.finishReason !== undefined;
    let events = this.#events(chunk);
    if (ends) {
      events = [...events, ...this.#run.end()];
      this.#ended = true;
    }
    const [only] = events;
    if (events.length === 1 && only?.type === 'text' && only.text === chunk.text && !ends) {
      // Plain text passes as it came.
      into.push(this.#run.inside ? { ...chunk, reasoningTokens: chunk.tokenIds.length } : chunk);
      return;
    }
    this.#write(chunk, events, into);
  }

  /** The stream has ended without saying so. */
  leave(index: number, into: AnswerChunk[]): void {
    const events = this.#ended ? [] : this.#run.end();
    if (events.length > 0) this.#write(index === 0 ? { tokenIds: [], text: '' } : { tokenIds: [], text: '', index }, events, into);
  }

  #events({ text, tokenIds }: TextChunk): readonly ParserEvent[] {
    const run = this.#run;
    if (this.#marks.size === 0 || run.mark === undefined || run.plain === undefined) return text === '' ? none : run.push(text);
    const [first] = tokenIds;
    const mark = tokenIds.length === 1 && first !== undefined ? this.#marks.get(first) : undefined;
    if (mark !== undefined) {
      // Characters that were held for more bytes may come out with the marker.
      const before = text.endsWith(mark) ? text.slice(0, -mark.length) : text;
      return before === '' ? run.mark(mark) : [...run.plain(before), ...run.mark(mark)];
    }
    if (text === '') return none;
    // Without its tokens, or with markers that could not be split off, the text alone must tell.
    return tokenIds.length > 0 && !tokenIds.some((id) => this.#marks.has(id)) ? run.plain(text) : run.push(text);
  }

  #write(chunk: TextChunk, events: readonly ParserEvent[], into: AnswerChunk[]): void {
    const begin = into.length;
    const { finishReason, stopReason, ...head } = chunk;
    let part: AnswerChunk & { calls?: CallDelta[] } = { ...head, text: '' };
    into.push(part);
    const next = (): void => {
      part = chunk.index === undefined ? { tokenIds: [], text: '' } : { tokenIds: [], text: '', index: chunk.index };
      into.push(part);
    };
    if (events.length === 0 && chunk.text !== '' && !this.#run.inside) part.held = true;
    let thought = false;
    for (const event of events) {
      if (event.type === 'tool-call-end' && event.broken !== true) this.#called = true;
      if (event.type === 'text' || event.type === 'reasoning') {
        if (part.calls !== undefined) next();
        if (event.type === 'text') part.text += event.text;
        else {
          part.reasoning = (part.reasoning ?? '') + event.text;
          thought = true;
        }
        continue;
      }
      if (event.type === 'tool-call-end' && part.calls === undefined) {
        // Its last piece is out: an empty one tells that it was the last.
        if (part.text !== '') next();
        part.calls = [{ index: event.index, arguments: '', ...endOf(event) }];
        continue;
      }
      if (part.text !== '') next();
      addCall((part.calls ??= []), event);
    }
    if (thought || this.#run.inside) (into[begin] as AnswerChunk).reasoningTokens = chunk.tokenIds.length;
    if (finishReason !== undefined) {
      part.finishReason = finishReason;
      if (this.#called) part.called = true;
    }
    if (stopReason !== undefined) part.stopReason = stopReason;
  }
}

const none: readonly never[] = [];

const endOf = ({ broken }: { readonly broken?: boolean }): { done: true } | { broken: true } => (broken === true ? { broken } : { done: true });

function addCall(calls: CallDelta[], event: Exclude<ParserEvent, { type: 'text' | 'reasoning' }>): void {
  const { index } = event;
  if (event.type === 'tool-call-start') {
    calls.push({ index, id: event.id, name: event.name, arguments: '' });
    return;
  }
  let call = calls.at(-1);
  if (call?.index !== index) calls.push((call = { index, arguments: '' }));
  if (event.type === 'tool-call-end') Object.assign(call, endOf(event));
  else call.arguments += event.arguments;
}
