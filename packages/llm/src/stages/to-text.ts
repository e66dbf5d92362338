import type { Run, Stage } from '@dynamo/runtime/internal';
import type { StopConditions, TokenChunk } from '@dynamo/kv-router';
import { stopStrings, type StopWatch } from '../tokenizer/stop-strings.ts';
import type { Tokenizer, TokenStream } from '../tokenizer/tokenizer.ts';

/** A chunk with its text. `tokenIds` are the tokens that were used, the hidden end-of-sequence token among them. */
export interface TextChunk extends Omit<TokenChunk, 'text'> {
  text: string;
}

/** What `toText` needs of a request. */
export interface ToTextOptions {
  tokenizer: Tokenizer;
  /** The prompt, which the answer's text continues. */
  promptIds: readonly number[];
  stop?: StopConditions;
  skipSpecialTokens: boolean;
  /** How many answers the stream carries; default 1. */
  n?: number;
  /** Show the stop string that ended an answer; default false. */
  includeStopStrInOutput?: boolean;
}

/**
 * Turns token ids into text and ends each answer at its stop conditions (spec llm 5).
 *
 * One chunk comes out for each that goes in, its text empty while something is held; a chunk whose text the engine gave
 * passes as it is. The stream is done when every answer has ended and the engine doesn't know it of one of them.
 */
export function toText(options: ToTextOptions): Stage<TokenChunk, TextChunk> {
  const rules = stopRules(options);
  const expected = options.n ?? 1;
  return (): Run<TokenChunk, TextChunk> => {
    const answers = new Map<number, Answer>();
    const open = (index: number): Answer => {
      const answer = new Answer(rules, options.tokenizer.stream(options));
      answers.set(index, answer);
      return answer;
    };
    const first = open(0);
    let ended = 0;
    let cutShort = false;
    return {
      push(batch) {
        const texts: TextChunk[] = [];
        for (const chunk of batch) {
          const index = chunk.index ?? 0;
          const answer = index === 0 ? first : (answers.get(index) ?? open(index));
          const had = answer.ended;
          const text = answer.read(chunk);
          if (text !== undefined) texts.push(text);
          if (!had && answer.ended) ended++;
          if (answer.cutShort) cutShort = true;
        }
        return texts;
      },
      end() {
        const texts: TextChunk[] = [];
        for (const [index, answer] of answers) {
          const text = answer.ended ? '' : answer.flush();
          if (text !== '') texts.push(index === 0 ? { tokenIds: [], text } : { tokenIds: [], text, index });
        }
        return texts;
      },
      get done() {
        return cutShort && ended >= expected;
      },
    };
  };
}

/** `shown`: its text belongs to the answer. `user`: hidden, the client named it. `model`: hidden, an end-of-sequence id. */
type StopId = 'shown' | 'user' | 'model';

interface StopRules {
  /** How many tokens the client gets before anything may stop the answer. */
  readonly floor: number;
  readonly ids: ReadonlyMap<number, StopId>;
  readonly strings: (() => StopWatch) | undefined;
}

function stopRules({ stop = {}, includeStopStrInOutput: include = false }: ToTextOptions): StopRules {
  if (stop.ignoreEos === true) return { floor: 0, ids: new Map(), strings: undefined };
  const ids = new Map<number, StopId>();
  // Later entries win: shown before hidden, and the client's own before the model's.
  for (const id of stop.hiddenStopTokenIds ?? []) ids.set(id, 'model');
  for (const id of stop.stopTokenIds ?? []) ids.set(id, 'user');
  for (const id of stop.visibleStopTokenIds ?? []) ids.set(id, 'shown');
  return { floor: stop.minTokens ?? 0, ids, strings: stopStrings(stop.stop ?? [], { include }) };
}

/** One answer of a stream: its decoder, and what its stop conditions have seen. */
class Answer {
  /** True when the engine has finished it or a stop condition has. */
  ended = false;
  /** True when a stop condition ended it before the engine did. */
  cutShort = false;
  readonly #ids: ReadonlyMap<number, StopId>;
  readonly #strings: StopWatch | undefined;
  readonly #decoder: TokenStream;
  /** How many tokens may still come before stop conditions apply. */
  #floor: number;
  #stopped = false;

  constructor(rules: StopRules, decoder: TokenStream) {
    this.#ids = rules.ids;
    this.#strings = rules.strings?.();
    this.#floor = rules.floor;
    this.#decoder = decoder;
  }

  /** The chunk with its text, or undefined behind a stop. */
  read(chunk: TokenChunk): TextChunk | undefined {
    if (this.#stopped) return undefined;
    const finished = chunk.finishReason !== undefined;
    if (chunk.text !== undefined) {
      if (!finished) return chunk as TextChunk;
      this.ended = true;
      return { ...chunk, text: this.flush() + chunk.text };
    }
    let text = '';
    const ids = chunk.tokenIds;
    for (let at = 0; at < ids.length; at++) {
      const id = ids[at] as number;
      const stop = this.#ids.get(id);
      if (this.#floor > 0) {
        this.#floor--;
        text += this.#decoder.push(id);
        continue;
      }
      if (stop !== undefined) {
        text += this.#strings?.flush() ?? '';
        if (stop === 'shown') text += this.#decoder.push(id);
        return this.#stop(chunk, at + 1, { text: text + this.#decoder.end(), reason: stop === 'model' ? undefined : id });
      }
      const piece = this.#decoder.push(id);
      if (this.#strings === undefined) text += piece;
      else {
        text += this.#strings.take(piece);
        if (this.#strings.matched !== undefined) return this.#stop(chunk, at + 1, { text, reason: this.#strings.matched });
      }
    }
    if (finished) {
      this.ended = true;
      text += this.flush();
    }
    return { ...chunk, text };
  }

  /** What is still held: the beginning of a stop string that never came, a character that was never finished. */
  flush(): string {
    return (this.#strings?.flush() ?? '') + this.#decoder.end();
  }

  /** Ends the answer at a stop condition behind the first `used` tokens of a chunk. */
  #stop(chunk: TokenChunk, used: number, { text, reason }: { text: string; reason: string | number | undefined }): TextChunk {
    this.#stopped = true;
    this.ended = true;
    this.cutShort = chunk.finishReason === undefined;
    const stopped: TextChunk = { ...chunk, text, finishReason: 'stop' };
    if (reason !== undefined) stopped.stopReason = reason;
    if (used < chunk.tokenIds.length) {
      stopped.tokenIds = chunk.tokenIds.slice(0, used);
      if (chunk.logprobs !== undefined) stopped.logprobs = chunk.logprobs.slice(0, used);
      if (chunk.topLogprobs !== undefined) stopped.topLogprobs = chunk.topLogprobs.slice(0, used);
    }
    return stopped;
  }
}
