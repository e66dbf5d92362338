import type { TokenChunk, TokenRequest, TopLogprob } from '@dynamo/kv-router';
import type { Logger } from '@dynamo/runtime';
import { applyLogitsProcessors, type LogitsProcessor } from '../logits.ts';
import { type Candidates, draw, hasPenalties, penalize, sorted } from './draw.ts';
import type { NextToken, StepResult } from './library.ts';

/** How many of the likeliest tokens are drawn from; what is behind them is noise. */
const mostCandidates = 1_024;

/** What a step is chosen by. */
export interface ChoiceParts {
  readonly request: TokenRequest;
  readonly processors: readonly LogitsProcessor[];
  readonly random: () => number;
  readonly textOf: (id: number) => string;
  readonly log: Logger;
  readonly requestId: string;
}

/** A chosen token, with what was asked of its probability. */
export type Choice = { readonly id: number } & Pick<TokenChunk, 'logprobs' | 'topLogprobs'>;

/** Chooses one answer's tokens, each from the scores after the one before. */
export class TokenChoice {
  readonly #parts: ChoiceParts;
  readonly #prompt: ReadonlySet<number>;
  readonly #answer = new Map<number, number>();
  /** What every step asks of the library. */
  readonly ask: NextToken;

  constructor(parts: ChoiceParts) {
    this.#parts = parts;
    const { sampling = {}, output, tokenIds } = parts.request;
    this.#prompt = hasPenalties(sampling) ? new Set(tokenIds) : new Set();
    const greedy = (sampling.temperature ?? 1) < 1e-5 && !hasPenalties(sampling) && (parts.request.stop?.minTokens ?? 0) === 0;
    const includeTop = greedy ? Math.max(1, output?.logprobs ?? 0) : mostCandidates;
    const logits = parts.processors.length > 0 || (output?.logprobs ?? 0) > mostCandidates ? true : { filter: { tokens: [], includeTop } };
    this.ask = { generateNext: { logits, totalLogitWeight: true, options: { temperature: 0 } } };
  }

  /** `forbidden` are tokens that can't come yet; `tokens` all of the sequence, for processors. */
  choose({ next }: StepResult, forbidden: ReadonlySet<number>, tokens: readonly number[]): Choice {
    const { sampling = {}, output } = this.#parts.request;
    const raw = candidatesOf(next);
    let candidates: Candidates = { ids: raw.ids, scores: raw.scores.slice() };
    if (this.#parts.processors.length > 0) candidates = this.#processed(candidates, tokens);
    penalize(candidates, { prompt: this.#prompt, answer: this.#answer }, sampling);
    if (forbidden.size > 0) for (const [at, id] of candidates.ids.entries()) if (forbidden.has(id)) candidates.scores[at] = -Infinity;
    const id = draw(sorted(candidates), sampling, this.#parts.random);
    this.#answer.set(id, (this.#answer.get(id) ?? 0) + 1);
    return output?.logprobs === undefined ? { id } : { id, ...this.#logprobs(id, raw, next.totalLogitWeight) };
  }

  #processed({ ids, scores }: Candidates, tokens: readonly number[]): Candidates {
    const { processors, requestId, log } = this.#parts;
    const all = new Float32Array(ids.length);
    for (const [at, id] of ids.entries()) all[id] = scores[at] as number;
    applyLogitsProcessors(processors, tokens, all, { requestId, log });
    return { ids: Array.from(all.keys()), scores: Float64Array.from(all) };
  }

  /** Of the model's own scores, before anything has changed them. */
  #logprobs(id: number, { ids, scores }: Candidates, weight: number | undefined): Pick<TokenChunk, 'logprobs' | 'topLogprobs'> {
    const highest = scores[0] ?? 0;
    const total = Math.log(weight ?? scores.reduce((sum, score) => sum + Math.exp(score - highest), 0));
    const of = (at: number): number => (scores[at] ?? -Infinity) - highest - total;
    const top = (at: number): TopLogprob => {
      const tokenId = ids[at] as number;
      return { rank: at + 1, tokenId, token: this.#parts.textOf(tokenId), logprob: of(at) };
    };
    const wanted = Math.min(this.#parts.request.output?.logprobs ?? 0, ids.length);
    const chosen = ids.indexOf(id);
    const tops = Array.from({ length: wanted }, (_, at) => top(at));
    // The chosen one is told even where it is none of the likeliest.
    return { logprobs: [of(chosen)], topLogprobs: [chosen < wanted ? tops : [...tops, top(chosen)]] };
  }
}

/** The library's scores, the likeliest first. */
function candidatesOf({ logits }: StepResult['next']): Candidates {
  const ids = [...(logits?.keys() ?? [])];
  return sorted({ ids, scores: Float64Array.from(logits?.values() ?? []) });
}
