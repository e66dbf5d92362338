import type { CompletionUsage, FinishReason, TokenChunk, TokenRequest } from '@dynamo/kv-router';
import { DynamoError, type HandlerContext, type Logger } from '@dynamo/runtime';
import type { LogitsProcessor } from '../logits.ts';
import { cachedDetails } from '../openai/wire/completion-chunk.ts';
import type { BlockLedger } from './block-ledger.ts';
import { seededRandom } from './draw.ts';
import type { LlamaSequence } from './library.ts';
import { type Choice, TokenChoice } from './next-token.ts';
import { commonLength, type Slot, type Slots } from './slots.ts';

/** What all requests of an engine share. */
export interface GenerationParts {
  readonly slots: Slots<LlamaSequence>;
  readonly ledger: BlockLedger;
  readonly contextLength: number;
  readonly batchSize: number;
  readonly eosTokenIds: readonly number[];
  readonly textOf: (id: number) => string;
  readonly logitsProcessors: (request: TokenRequest) => readonly LogitsProcessor[];
  readonly seed: () => number;
  readonly log: Logger;
  /** The blocks of running requests have changed. */
  readonly onChange: () => void;
}

/** Answers one request. */
export class Generation {
  readonly #parts: GenerationParts;
  readonly #request: TokenRequest;
  readonly #handling: HandlerContext;

  constructor(parts: GenerationParts, request: TokenRequest, handling: HandlerContext) {
    this.#parts = parts;
    this.#request = request;
    this.#handling = handling;
  }

  /** All `n` answers, one after the other: each finds the prompt in the cache of the one before. */
  async *answers(): AsyncGenerator<TokenChunk> {
    this.#check();
    const { n = 1, seed } = this.#request.sampling ?? {};
    for (let index = 0; index < n; index++) {
      const random = seededRandom(seed === undefined ? this.#parts.seed() : BigInt(seed) + BigInt(index));
      for await (const chunk of this.#answer(random)) yield index === 0 ? chunk : { ...chunk, index };
    }
  }

  /** @throws DynamoError for what can't be answered, before a sequence is taken. */
  #check(): void {
    const { tokenIds, sampling, output } = this.#request;
    const { contextLength } = this.#parts;
    if (tokenIds.length === 0) throw new DynamoError('invalid_argument', 'a prompt needs at least one token');
    if (tokenIds.length >= contextLength)
      throw new DynamoError('invalid_argument', `the prompt has ${tokenIds.length} tokens, and the model's context ends at ${contextLength}`);
    if (sampling?.guidedDecoding !== undefined && sampling.guidedDecoding !== null)
      throw new DynamoError('not_implemented', 'guided decoding is not offered by the llama engine');
    if (output?.promptLogprobs !== undefined) throw new DynamoError('not_implemented', 'prompt logprobs are not offered by the llama engine');
  }

  async *#answer(random: () => number): AsyncGenerator<TokenChunk> {
    const { slots, onChange } = this.#parts;
    const { signal } = this.#handling;
    const slot = await slots.take(this.#request.tokenIds, signal);
    if (slot === undefined) return yield cancelled;
    let whole = false;
    try {
      const cached = await this.#readPrompt(slot);
      if (cached === undefined) yield cancelled;
      else yield* this.#generate(slot, cached, random);
      whole = true;
    } finally {
      // What the cache of a sequence holds that has failed is not known; one whose reader has left is whole.
      if (!whole && slot.sequence.nextTokenIndex !== slot.held.tokens.length) await this.#forget(slot);
      slots.release(slot);
      onChange();
    }
  }

  /** Evaluates all but the last token of the prompt, but for what the cache has; returns how much that was, or nothing for a reader who left. */
  async #readPrompt(slot: Slot<LlamaSequence>): Promise<number | undefined> {
    const { ledger, batchSize, onChange } = this.#parts;
    const { tokenIds } = this.#request;
    const { sequence, held } = slot;
    const common = Math.min(commonLength(held.tokens, tokenIds), tokenIds.length - 1);
    if (common < held.tokens.length) {
      ledger.truncate(held, common);
      await sequence.adaptStateToTokens(tokenIds.slice(0, common), false);
      // Some models can't give up a part of their cache, and lose more.
      if (sequence.nextTokenIndex !== common) await this.#forget(slot);
    }
    const cached = held.tokens.length;
    onChange();
    for (let at = cached; at < tokenIds.length - 1; at += batchSize) {
      if (this.#handling.signal.aborted) return undefined;
      const piece = tokenIds.slice(at, Math.min(at + batchSize, tokenIds.length - 1));
      await sequence.controlledEvaluate(piece);
      ledger.extend(held, piece);
      onChange();
    }
    return cached;
  }

  async *#generate(slot: Slot<LlamaSequence>, cached: number, random: () => number): AsyncGenerator<TokenChunk> {
    const { ledger, contextLength, textOf, log, logitsProcessors, onChange } = this.#parts;
    const { tokenIds, stop = {}, output } = this.#request;
    const { sequence, held } = slot;
    const processors = logitsProcessors(this.#request);
    const choice = new TokenChoice({ request: this.#request, processors, random, textOf, log, requestId: this.#handling.id });
    const ends = this.#ends();
    const most = Math.min(stop.maxTokens ?? Infinity, contextLength - tokenIds.length);
    const usage = (completionTokens: number): CompletionUsage => ({
      promptTokens: tokenIds.length,
      completionTokens,
      totalTokens: tokenIds.length + completionTokens,
      promptTokensDetails: cachedDetails(cached),
    });
    let last = tokenIds.at(-1) as number;
    let sum = 0;
    for (let count = 1; count <= most; count++) {
      if (this.#handling.signal.aborted) return yield cancelled;
      const [step] = await sequence.controlledEvaluate([[last, choice.ask]]);
      if (step === undefined) throw new DynamoError('unknown', 'llama.cpp gave no scores for a token', { origin: 'backend' });
      ledger.extend(held, [last]);
      onChange();
      const chosen = choice.choose(step, count <= (stop.minTokens ?? 0) ? ends : none, held.tokens);
      last = chosen.id;
      sum += chosen.logprobs?.[0] ?? 0;
      const finishReason = ends.has(last) ? 'stop' : count === most ? 'length' : undefined;
      const stopReason = finishReason === 'stop' && stop.stopTokenIds?.includes(last) === true ? last : undefined;
      yield chunkOf(chosen, { finishReason, stopReason, cumulativeLogprob: output?.logprobs === undefined ? undefined : sum, usage, count });
      if (finishReason !== undefined) return;
    }
    yield { tokenIds: [], finishReason: 'length', usage: usage(0) };
  }

  /** Tokens that end the answer: the model's, unless they are to be passed over, and those of the request. */
  #ends(): ReadonlySet<number> {
    const { stop = {}, eosTokenIds = [] } = this.#request;
    const own = stop.ignoreEos === true ? [] : [...this.#parts.eosTokenIds, ...eosTokenIds, ...(stop.hiddenStopTokenIds ?? [])];
    return new Set([...own, ...(stop.stopTokenIds ?? []), ...(stop.visibleStopTokenIds ?? [])]);
  }

  async #forget({ sequence, held }: Slot<LlamaSequence>): Promise<void> {
    this.#parts.ledger.truncate(held, 0);
    await sequence.clearHistory();
  }
}

const none: ReadonlySet<number> = new Set();
const cancelled: TokenChunk = { tokenIds: [], finishReason: 'cancelled' };

function chunkOf(
  { id, logprobs, topLogprobs }: Choice,
  more: {
    finishReason: FinishReason | undefined;
    stopReason: number | undefined;
    cumulativeLogprob: number | undefined;
    usage: (count: number) => CompletionUsage;
    count: number;
  },
): TokenChunk {
  const { finishReason, stopReason, cumulativeLogprob, usage, count } = more;
  return {
    tokenIds: [id],
    ...(finishReason === undefined ? {} : { finishReason, usage: usage(count) }),
    ...(stopReason === undefined ? {} : { stopReason }),
    ...(cumulativeLogprob === undefined ? {} : { cumulativeLogprob }),
    ...(logprobs === undefined ? {} : { logprobs }),
    ...(topLogprobs === undefined ? {} : { topLogprobs }),
  };
}
