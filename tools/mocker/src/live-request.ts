import type { MockSequence } from '@dynamo/internal';
import type { ReplyTokens } from './reply-tokens.ts';
import type { NamedTokens } from './live-names.ts';

/** What happened to a request in one pass. */
export interface RequestStep {
  /** Undefined when no token came. */
  readonly tokenId: number | undefined;
  readonly end: 'completed' | 'rejected' | undefined;
}

/** One request on its way through a live engine: the engine writes its steps, the answer reads them. */
export class LiveRequest implements NamedTokens {
  readonly id: string;
  /** Prompt, and what was generated. */
  readonly tokens: number[];
  readonly promptTokens: number;
  readonly lora: string | undefined;
  readonly salt: string | undefined;
  readonly dpRank: number;
  readonly arrivedMs: number;
  readonly reply: ReplyTokens;
  sequence: MockSequence | undefined;
  generated = 0;
  /** Prompt tokens found in the cache at the last admission. */
  cachedTokens = 0;
  lastTokenMs = NaN;
  /** Steps that have not been read: one a pass at most, so never more than the answer has tokens. */
  #steps: RequestStep[] = [];
  #waiting: PromiseWithResolvers<void> | undefined;

  constructor(
    id: string,
    parts: {
      readonly prompt: readonly number[];
      readonly lora?: string | undefined;
      readonly salt?: string | undefined;
      readonly dpRank: number;
      readonly arrivedMs: number;
      readonly reply: ReplyTokens;
    },
  ) {
    this.id = id;
    this.tokens = [...parts.prompt];
    this.promptTokens = parts.prompt.length;
    this.lora = parts.lora;
    this.salt = parts.salt;
    this.dpRank = parts.dpRank;
    this.arrivedMs = parts.arrivedMs;
    this.reply = parts.reply;
  }

  push(step: RequestStep): void {
    this.#steps.push(step);
    this.#waiting?.resolve();
    this.#waiting = undefined;
  }

  /** Lets a reader go that waits, such as one whose client has left. */
  wake(): void {
    this.#waiting?.resolve();
    this.#waiting = undefined;
  }

  /** All steps that are there, waiting for the first. Empty when it was woken without one. */
  async take(): Promise<readonly RequestStep[]> {
    if (this.#steps.length === 0) await (this.#waiting ??= Promise.withResolvers<void>()).promise;
    const steps = this.#steps;
    this.#steps = [];
    return steps;
  }
}
