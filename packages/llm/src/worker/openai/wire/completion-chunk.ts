import type { FinishReason, TokenChunk, TopLogprob } from '@dynamo/kv-router';
import { countAt, objectOf, textAt, type Wire } from './members.ts';

/** What one event of a completion stream says. */
export interface CompletionEvent {
  readonly choices: readonly CompletionChoice[];
  readonly usage: UpstreamUsage | undefined;
  /** The message of an error that came in place of an event. */
  readonly failed: string | undefined;
}

/** A piece of one of the answers. */
export interface CompletionChoice {
  readonly index: number;
  readonly text: string;
  /** Absent where the upstream tells no ids. */
  readonly tokenIds: readonly number[] | undefined;
  readonly finishReason: FinishReason | undefined;
  readonly stopReason: string | number | undefined;
  readonly logprobs: Pick<TokenChunk, 'logprobs' | 'topLogprobs'> | undefined;
}

/** Token counts as an upstream gives them. */
export interface UpstreamUsage {
  readonly promptTokens: number | undefined;
  readonly completionTokens: number | undefined;
  /** As it stands there; whether it can be is for others to say. */
  readonly cachedTokens: unknown;
}

/** Words for the end of an answer; others count as `stop`. */
const reasons: Readonly<Record<string, FinishReason>> = {
  stop: 'stop',
  eos: 'eos',
  length: 'length',
  abort: 'abort',
  content_filter: 'content_filter',
};

/** Reads one event; undefined when it is none of a completion. */
export function completionEvent(data: string): CompletionEvent | undefined {
  let parsed: unknown;
  try {
    parsed = JSON.parse(data);
  } catch {
    return undefined;
  }
  const wire = objectOf(parsed);
  if (wire === undefined) return undefined;
  const failed = failureOf(wire);
  if (failed !== undefined) return { choices: [], usage: undefined, failed };
  const { choices } = wire;
  const usage = usageOf(objectOf(wire['usage']));
  if (!Array.isArray(choices)) return usage === undefined ? undefined : { choices: [], usage, failed: undefined };
  const read: CompletionChoice[] = [];
  for (const choice of choices) {
    const one = choiceOf(objectOf(choice));
    if (one === undefined) return undefined;
    read.push(one);
  }
  return { choices: read, usage, failed: undefined };
}

function failureOf(wire: Wire): string | undefined {
  const { error } = wire;
  if (error === undefined || error === null) return wire['object'] === 'error' ? (textAt(wire, 'message') ?? 'an error without words') : undefined;
  return typeof error === 'string' ? error : (textAt(objectOf(error), 'message') ?? 'an error without words');
}

function usageOf(wire: Wire | undefined): UpstreamUsage | undefined {
  if (wire === undefined) return undefined;
  return {
    promptTokens: countAt(wire, 'prompt_tokens'),
    completionTokens: countAt(wire, 'completion_tokens'),
    cachedTokens: objectOf(wire['prompt_tokens_details'])?.['cached_tokens'],
  };
}

function choiceOf(wire: Wire | undefined): CompletionChoice | undefined {
  if (wire === undefined) return undefined;
  const { text = '', token_ids: ids, finish_reason: reason, stop_reason: stop } = wire;
  if (typeof text !== 'string') return undefined;
  if (ids !== undefined && ids !== null && !(Array.isArray(ids) && ids.every((id) => Number.isInteger(id) && id >= 0))) return undefined;
  return {
    index: countAt(wire, 'index') ?? 0,
    text,
    tokenIds: Array.isArray(ids) ? (ids as readonly number[]) : undefined,
    finishReason: typeof reason === 'string' ? (reasons[reason] ?? 'stop') : undefined,
    stopReason: typeof stop === 'string' || typeof stop === 'number' ? stop : undefined,
    logprobs: logprobsOf(objectOf(wire['logprobs'])),
  };
}

/** Log probabilities of tokens that are named by their ids (`token_id:5`). */
function logprobsOf(wire: Wire | undefined): CompletionChoice['logprobs'] {
  const { token_logprobs: chosen, top_logprobs: top } = wire ?? {};
  if (!Array.isArray(chosen)) return undefined;
  const logprobs = chosen.map((value) => (typeof value === 'number' ? value : 0));
  if (!Array.isArray(top)) return { logprobs };
  return { logprobs, topLogprobs: top.map((position) => Object.entries(objectOf(position) ?? {}).flatMap(candidate)) };
}

function candidate([name, logprob]: [string, unknown], at: number): TopLogprob[] {
  const id = /^token_id:(\d+)$/.exec(name)?.[1];
  return id === undefined || typeof logprob !== 'number' ? [] : [{ rank: at + 1, tokenId: Number(id), logprob }];
}

/** How a chunk's usage names the tokens of its prompt that were in the cache. */
export const cachedDetails = (cachedTokens: number): Record<string, unknown> => ({ audio_tokens: null, cached_tokens: cachedTokens });
