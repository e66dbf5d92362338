import type { AnswerChunk } from '../stages/parse-answer.ts';
import type { TextChunk } from '../stages/to-text.ts';

/** Token counts as a client sees them. */
export interface WireUsage {
  prompt_tokens: number;
  completion_tokens: number;
  total_tokens: number;
  prompt_tokens_details?: unknown;
  completion_tokens_details?: { reasoning_tokens: number };
}

/** Counts one engine request's tokens: the prompt as the engine says, else as it was tokenized; the output as it arrived (spec llm 2.2). */
export class UsageCount {
  #prompt: number;
  #completion = 0;
  #details: unknown;
  readonly #told: boolean;
  /** Counted for models with a reasoning parser. */
  #reasoning: number | undefined;
  /** True once a finish reason came: an answer without one has no usage. */
  finished = false;

  /** `told`: the worker says how many tokens it made, as their ids are not known here. */
  constructor(promptTokens: number, options: { reasoning?: boolean; told?: boolean } = {}) {
    this.#prompt = promptTokens;
    this.#told = options.told === true;
    if (options.reasoning === true) this.#reasoning = 0;
  }

  add(chunk: AnswerChunk): void {
    this.#completion += chunk.tokenIds.length;
    if (chunk.reasoningTokens !== undefined && this.#reasoning !== undefined) this.#reasoning += chunk.reasoningTokens;
    if (chunk.finishReason !== undefined && !this.#told) this.finished = true;
    if (chunk.usage === undefined) return;
    if (this.#told) this.finished = true;
    this.#prompt = chunk.usage.promptTokens;
    if (this.#told) this.#completion = chunk.usage.completionTokens;
    this.#details = chunk.usage.promptTokensDetails ?? this.#details;
  }

  /** How much of the prompt the worker had cached, where it says so. */
  get cached(): number | undefined {
    const { cached_tokens: cached } = (this.#details ?? {}) as { cached_tokens?: unknown };
    return typeof cached === 'number' ? cached : undefined;
  }

  get wire(): WireUsage {
    const details = this.#details;
    return {
      prompt_tokens: this.#prompt,
      completion_tokens: this.#completion,
      total_tokens: this.#prompt + this.#completion,
      ...(details === undefined || details === null ? {} : { prompt_tokens_details: details }),
      ...(this.#reasoning === undefined ? {} : { completion_tokens_details: { reasoning_tokens: this.#reasoning } }),
    };
  }
}

/** The usage of a request that was several engine requests. */
export function sumUsage(counts: readonly UsageCount[]): WireUsage {
  const [first, ...rest] = counts.map((count) => count.wire);
  const total: WireUsage = { ...(first ?? { prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 }) };
  for (const usage of rest) {
    total.prompt_tokens += usage.prompt_tokens;
    total.completion_tokens += usage.completion_tokens;
    total.total_tokens += usage.total_tokens;
  }
  return total;
}

/** The finish reason as OpenAI names it (spec llm 2.2). */
export const wireFinish = (reason: TextChunk['finishReason']): string | null =>
  reason === undefined ? null : reason === 'length' || reason === 'content_filter' ? reason : 'stop';
