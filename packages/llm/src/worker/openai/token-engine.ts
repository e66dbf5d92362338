import type { CompletionUsage, TokenChunk, TokenRequest } from '@dynamo/kv-router';
import type { HandlerContext, Logger } from '@dynamo/runtime';
import { DynamoError } from '@dynamo/runtime';
import { itemsOf } from '@dynamo/runtime/internal';
import type { Engine } from '../engine.ts';
import type { Upstream } from './upstream.ts';
import { cutError, protocolError } from './upstream-error.ts';
import { cachedDetails, type CompletionChoice, completionEvent, type UpstreamUsage } from './wire/completion-chunk.ts';
import { completionRequest } from './wire/completion-request.ts';

/** What an engine knows of its upstream. */
export interface TokenEngineParts {
  readonly upstream: Upstream;
  /** The upstream's own name of the model. */
  readonly model: string;
  readonly contextLength?: number | undefined;
  /** Ids of a text: for upstreams that answer with text alone. */
  readonly encode: (text: string) => readonly number[];
  readonly log: Logger;
}

/** An engine that sends token ids to an OpenAI server's `/v1/completions`, and gives back ids where it tells them. */
export function tokenEngine(parts: TokenEngineParts): Engine {
  const doubts = new Doubts(parts);
  return (request, context) => itemsOf(() => answer(parts, { request, context, doubts }));
}

async function* answer(
  parts: TokenEngineParts,
  { request, context, doubts }: { request: TokenRequest; context: HandlerContext; doubts: Doubts },
): AsyncGenerator<readonly TokenChunk[]> {
  const { upstream } = parts;
  const body = completionRequest(request, { model: parts.model, contextLength: parts.contextLength });
  const headers = { ...context.traceHeaders(), 'x-request-id': context.id };
  const wanted = request.sampling?.n ?? 1;
  let ended = 0;
  let tokens = 0;
  let hasIds = false;
  // The end of an answer waits for the counts, which come behind it.
  let held: TokenChunk[] = [];
  let usage: UpstreamUsage | undefined;
  for await (const events of upstream.stream('/v1/completions', { body, headers, signal: context.signal })) {
    const chunks: TokenChunk[] = [];
    for (const data of events) {
      if (data === '[DONE]') continue;
      const event = completionEvent(data);
      if (event === undefined) throw protocolError(upstream.url, `sent an event that is none of a completion: ${data.slice(0, 80)}`);
      if (event.failed !== undefined) throw new DynamoError('unknown', event.failed, { origin: 'backend', data: { upstream: upstream.url } });
      usage = event.usage ?? usage;
      for (const choice of event.choices) {
        hasIds ||= choice.tokenIds !== undefined;
        const chunk = chunkOf(choice, parts.encode);
        tokens += chunk.tokenIds.length;
        if (choice.finishReason === undefined) {
          if (chunk.tokenIds.length > 0 || choice.text !== '') chunks.push(chunk);
        } else {
          ended++;
          held.push(chunk);
        }
      }
    }
    if (chunks.length > 0) yield chunks;
  }
  if (context.signal.aborted) return yield [{ tokenIds: [], finishReason: 'cancelled' }];
  if (ended < wanted) throw cutError(upstream.url);
  const counts = doubts.counts(request.tokenIds.length, { tokens, hasIds, usage });
  held = held.map((chunk, at) => (at === held.length - 1 ? { ...chunk, usage: counts } : chunk));
  yield held;
}

/** Where the upstream tells no ids, its text goes along, so that nothing is lost by encoding pieces of it. */
function chunkOf({ index, text, tokenIds, finishReason, stopReason, logprobs }: CompletionChoice, encode: TokenEngineParts['encode']): TokenChunk {
  return {
    ...(tokenIds === undefined ? { tokenIds: text === '' ? [] : encode(text), text } : { tokenIds }),
    ...(index === 0 ? {} : { index }),
    ...(finishReason === undefined ? {} : { finishReason }),
    ...(stopReason === undefined ? {} : { stopReason }),
    ...logprobs,
  };
}

/** Believes of an upstream's counts what can be, and says once what can not. */
class Doubts {
  readonly #parts: TokenEngineParts;
  #told = false;

  constructor(parts: TokenEngineParts) {
    this.#parts = parts;
  }

  counts(prompt: number, { tokens, hasIds, usage }: { tokens: number; hasIds: boolean; usage: UpstreamUsage | undefined }): CompletionUsage {
    // Ids were counted; for text the upstream knows better.
    const completion = hasIds ? tokens : (usage?.completionTokens ?? tokens);
    const cached = this.#cached(prompt, usage?.cachedTokens);
    return {
      promptTokens: prompt,
      completionTokens: completion,
      totalTokens: prompt + completion,
      ...(cached === undefined ? {} : { promptTokensDetails: cachedDetails(cached) }),
    };
  }

  #cached(prompt: number, told: unknown): number | undefined {
    if (told === undefined || told === null) return undefined;
    if (typeof told === 'number' && Number.isInteger(told) && told >= 0 && told <= prompt) return told;
    if (!this.#told) {
      this.#told = true;
      this.#parts.log.warn(
        { upstream: this.#parts.upstream.url, cachedTokens: JSON.stringify(told), promptTokens: prompt },
        'an upstream reports cached tokens that can not be; such reports are passed over',
      );
    }
    return undefined;
  }
}
