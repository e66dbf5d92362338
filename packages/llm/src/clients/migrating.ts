import type { TokenChunk, TokenRequest } from '@dynamo/kv-router';
import { decodedChunk, toTokenChunk } from '@dynamo/kv-router/internal';
import { type CallOptions, type Client, DynamoError, type InstanceId } from '@dynamo/runtime';
import { batchesOf, errorTable, itemsOf } from '@dynamo/runtime/internal';
import type { Move } from '../frontend/frontend-metrics.ts';
import type { Placed } from '../frontend/serving-model.ts';

/** How far a request may be moved from a worker that failed to another one. */
export interface MigrationOptions {
  /** How often one request may be moved; 0 never. */
  readonly limit: number;
  /** Prompt and answer together, in tokens: a longer request is not moved, and its tokens are not kept. No limit by default. */
  readonly maxSequence?: number;
  /** Told of each move: before the first token, or in the midst of an answer. */
  readonly onMove?: (kind: Move['kind']) => void;
  /** Told when a move has ended: another worker answers, or nobody does. */
  readonly onMoved?: (move: Move) => void;
}

/** What a call carries beside its public options: where it went, and whom to leave out. */
export type MovableCall = CallOptions & { readonly placed?: Placed; readonly excluded?: ReadonlySet<InstanceId> };

/**
 * Re-sends a request when its worker is lost: the next one continues after the tokens that were produced, so that the
 * reader sees one answer without gap or repeat (spec llm 2.5).
 *
 * What can't be continued is not moved, and ends with its worker's error: guided decoding (the next engine would begin its
 * grammar anew), several answers at once, a request pinned to its worker, and one that grew past `maxSequence`.
 */
export function migrating(client: Client<TokenRequest, unknown>, options: MigrationOptions): Client<TokenRequest, unknown> {
  if (options.limit === 0) return client;
  return {
    get instances() {
      return client.instances;
    },
    ready: (ready) => client.ready(ready),
    generate: (request, call = {}) => itemsOf(() => generate(client, { request, call, options })),
    [Symbol.asyncDispose]: () => client[Symbol.asyncDispose](),
  };
}

interface Movable {
  readonly request: TokenRequest;
  readonly call: MovableCall;
  readonly options: MigrationOptions;
}

async function* generate(client: Client<TokenRequest, unknown>, { request, call, options }: Movable): AsyncGenerator<readonly unknown[]> {
  // The same id for every attempt: to whoever follows the request it stays one.
  const id = call.id ?? crypto.randomUUID();
  const placed = call.placed ?? {};
  const excluded = new Set<InstanceId>();
  const answer = new Answered(request, options.maxSequence ?? Infinity);
  const moving = new Moving(options.onMoved, call.signal);
  let last: unknown;
  for (let moves = 0; ; moves++) {
    delete placed.instance;
    try {
      const attempt: MovableCall = { ...call, id, placed, excluded };
      for await (const batch of batchesOf(client.generate(answer.rest(), attempt))) {
        moving.end('success');
        yield answer.add(batch);
      }
      moving.end('success');
      return;
    } catch (error) {
      moving.end('failure');
      // Nobody is left to go on: what the last worker died of says more than that.
      if (moves > 0 && placed.instance === undefined && DynamoError.is(error, 'unavailable')) throw last;
      if (moves >= options.limit || !answer.movable || !isRetryable(error) || isPinned(request, call) || call.signal?.aborted === true) throw error;
      if (placed.instance !== undefined) excluded.add(placed.instance);
      else if (DynamoError.is(error, 'unavailable')) throw error;
      last = error;
      const kind = answer.begun ? 'ongoing_request' : 'new_request';
      moving.begin(kind);
      options.onMove?.(kind);
    }
  }
}

/** One move of a request from the failure of a worker to its end. */
class Moving {
  readonly #told: MigrationOptions['onMoved'];
  readonly #signal: AbortSignal | undefined;
  #kind: Move['kind'] | undefined;
  #since = 0;

  constructor(told: MigrationOptions['onMoved'], signal: AbortSignal | undefined) {
    this.#told = told;
    this.#signal = signal;
  }

  begin(kind: Move['kind']): void {
    this.#kind = kind;
    this.#since = performance.now();
  }

  /** Without effect while nothing moves. */
  end(outcome: 'success' | 'failure'): void {
    if (this.#kind === undefined) return;
    const cancelled = outcome === 'failure' && this.#signal?.aborted === true;
    this.#told?.({ kind: this.#kind, outcome: cancelled ? 'cancelled' : outcome, seconds: (performance.now() - this.#since) / 1_000 });
    this.#kind = undefined;
  }
}

/** The tokens that a request has got so far, and the request for those that are missing. */
class Answered {
  readonly #request: TokenRequest;
  readonly #limit: number;
  #tokens: number[] | undefined;
  #finished = false;

  constructor(request: TokenRequest, maxSequence: number) {
    this.#request = request;
    this.#limit = maxSequence - request.tokenIds.length;
    const alone = (request.sampling?.n ?? 1) === 1 && request.sampling?.guidedDecoding === undefined;
    this.#tokens = alone && this.#limit >= 0 ? [] : undefined;
  }

  get movable(): boolean {
    return this.#tokens !== undefined && !this.#finished;
  }

  get begun(): boolean {
    return this.#tokens !== undefined && this.#tokens.length > 0;
  }

  rest(): TokenRequest {
    const done = this.#tokens?.length ?? 0;
    if (done === 0) return this.#request;
    const { stop } = this.#request;
    const less = (count: number | undefined): number | undefined => (count === undefined ? undefined : Math.max(0, count - done));
    const maxTokens = less(stop?.maxTokens);
    const minTokens = less(stop?.minTokens);
    return {
      ...this.#request,
      tokenIds: [...this.#request.tokenIds, ...(this.#tokens ?? [])],
      ...(stop === undefined
        ? {}
        : { stop: { ...stop, ...(maxTokens === undefined ? {} : { maxTokens }), ...(minTokens === undefined ? {} : { minTokens }) } }),
    };
  }

  /** Notes what a batch brought and passes it on; counts of a later worker are told as those of the whole request. */
  add(batch: readonly unknown[]): readonly unknown[] {
    if (this.#tokens === undefined) return batch;
    const before = this.#tokens.length;
    let changed: unknown[] | undefined;
    for (const [index, item] of batch.entries()) {
      const chunk = readable(item);
      if (chunk === undefined) continue;
      for (const token of chunk.tokenIds) this.#tokens?.push(token);
      this.#finished ||= chunk.finishReason !== undefined;
      if (chunk.usage !== undefined && before > 0) (changed ??= [...batch])[index] = decodedChunk({ ...chunk, usage: this.#wholeUsage(chunk.usage) });
    }
    if (this.#tokens.length > this.#limit) this.#tokens = undefined;
    return changed ?? batch;
  }

  #wholeUsage(usage: NonNullable<TokenChunk['usage']>): NonNullable<TokenChunk['usage']> {
    const promptTokens = this.#request.tokenIds.length;
    const completionTokens = this.#tokens?.length ?? usage.completionTokens;
    return { ...usage, promptTokens, completionTokens, totalTokens: promptTokens + completionTokens };
  }
}

/** A chunk; what can't be read is left for the stage that tells the client of it. */
function readable(item: unknown): TokenChunk | undefined {
  try {
    return toTokenChunk(item);
  } catch {
    return undefined;
  }
}

const isRetryable = (error: unknown): boolean => DynamoError.is(error) && errorTable[error.code].retryable;

const isPinned = ({ routing }: TokenRequest, call: CallOptions): boolean =>
  call.instance !== undefined || routing?.['backend_instance_id'] !== undefined || routing?.['decode_worker_id'] !== undefined;
