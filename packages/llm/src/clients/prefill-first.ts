import { randomBytes } from 'node:crypto';
import type { TokenChunk, TokenRequest } from '@dynamo/kv-router';
import {
  type Bootstrap,
  bootstrapRoom,
  bypassRequest,
  decodedChunk,
  decodeRequest,
  type Half,
  nearTo,
  prefillRequest,
  readPrefill,
  toTokenChunk,
  type WorkerConfig,
  withoutBypass,
} from '@dynamo/kv-router/internal';
import { type Client, DynamoError, type InstanceId } from '@dynamo/runtime';
import { batchesOf, itemsOf } from '@dynamo/runtime/internal';
import type { MovableCall } from './migrating.ts';

/** Workers that read prompts for others. */
export interface PrefillPool {
  readonly client: Client<TokenRequest, unknown>;
  /** Where decode workers fetch what this one has read; undefined where it says so in its answer. */
  bootstrapOf(worker: InstanceId): { readonly host: string; readonly port: number; readonly dpSize: number } | undefined;
  /** Where it wants the worker that fetches its blocks to be, as its card says. */
  transferOf(worker: InstanceId): WorkerConfig['transfer'];
}

/** How prompts are read elsewhere. */
export interface PrefillFirstOptions {
  /** Who reads prompts now; undefined while nobody does. */
  readonly prefill: () => PrefillPool | undefined;
  /** Whether the decode workers read prompts themselves while nobody else does. Never by default. */
  readonly alone?: () => boolean;
  /** Whether a prompt stays with its decode worker, since most of it is cached there. Never by default. */
  readonly bypass?: (request: TokenRequest, call: ShapedCall) => Promise<{ readonly worker: InstanceId } | undefined>;
  /** Whether bypasses are possible: decode workers then hear of their caches. */
  readonly conditional?: boolean;
}

/** A call whose request is finished when its worker is known. */
export type ShapedCall = MovableCall & { readonly shape?: (request: TokenRequest, worker: Half) => TokenRequest; readonly pinned?: InstanceId };

/**
 * Has each prompt read by a prefill worker and the answer written by a decode worker (spec kv-router 18).
 *
 * Where the prefill worker names a meeting place in its card, both begin at once; else decode begins when the prefill has
 * said where its blocks are. A failed prefill is the request's failure: nothing falls back to the decode worker.
 */
export function prefillFirst(decode: Client<TokenRequest, unknown>, options: PrefillFirstOptions): Client<TokenRequest, unknown> {
  return {
    get instances() {
      return decode.instances;
    },
    ready: (ready) => decode.ready(ready),
    generate: (request, call = {}) => itemsOf(() => generate(decode, { request: withoutBypass(request), call, options })),
    [Symbol.asyncDispose]: () => decode[Symbol.asyncDispose](),
  };
}

interface Split {
  readonly request: TokenRequest;
  readonly call: ShapedCall;
  readonly options: PrefillFirstOptions;
}

async function* generate(decode: Client<TokenRequest, unknown>, { request, call, options }: Split): AsyncGenerator<readonly unknown[]> {
  const stay = await options.bypass?.(request, call);
  if (stay !== undefined) {
    if (call.placed !== undefined) call.placed.bypassed = true;
    const shape: ShapedCall['shape'] = (shaped, { dpRank }) => bypassRequest(shaped, dpRank);
    const staying: ShapedCall = { ...call, pinned: stay.worker, shape };
    return yield* batchesOf(decode.generate(request, staying));
  }
  const pool = options.prefill();
  if (pool === undefined && options.alone?.() === true) return yield* batchesOf(decode.generate(request, call));
  if (pool === undefined) throw new DynamoError('unavailable', 'no prefill worker can be reached');
  await using prefill = startPrefill(pool, request, call);
  const { half, bootstrap } = await prefill.placed;
  if (call.placed !== undefined) call.placed.prefill = { instance: half.workerId, ...(half.dpRank === undefined ? {} : { dpRank: half.dpRank }) };
  const conditional = options.conditional === true;
  let shape: ShapedCall['shape'];
  if (bootstrap === undefined) {
    const outcome = handedOver(await prefill.first);
    if (outcome.type === 'answer') return yield [decodedChunk(outcome.chunk)];
    shape = (shaped, { dpRank }) => decodeRequest(shaped, { prefill: half, ...rankOf(dpRank) }, { result: outcome, conditional });
  } else {
    shape = (shaped, { dpRank }) => decodeRequest(shaped, { prefill: half, ...rankOf(dpRank) }, { bootstrap, conditional });
  }
  const decoding: ShapedCall = { ...call, shape };
  yield* batchesOf(decode.generate(nearTo(request, pool.transferOf(half.workerId)), decoding));
}

const rankOf = (dpRank: number | undefined): { decodeRank?: number } => (dpRank === undefined ? {} : { decodeRank: dpRank });

interface Prefill extends AsyncDisposable {
  /** Where it went, once it is on its way. */
  readonly placed: Promise<{ readonly half: Half; readonly bootstrap: Bootstrap | undefined }>;
  /** Its first item, once all of it has come. */
  readonly first: Promise<TokenChunk | undefined>;
}

/** Sends the half that reads the prompt; disposing stops it. */
function startPrefill(pool: PrefillPool, request: TokenRequest, call: ShapedCall): Prefill {
  const stop = new AbortController();
  const signal = call.signal === undefined ? stop.signal : AbortSignal.any([call.signal, stop.signal]);
  const placed = Promise.withResolvers<{ half: Half; bootstrap: Bootstrap | undefined }>();
  const shape = (shaped: TokenRequest, half: Half): TokenRequest => {
    const bootstrap = bootstrapFor(pool, half);
    placed.resolve({ half, bootstrap });
    return prefillRequest(shaped, half, bootstrap);
  };
  // Who is to write the answer is not who is to read the prompt.
  const { placed: _, excluded: __, instance: ___, pinned: ____, ...rest } = call;
  const asked = request.routing?.['prefill_worker_id'];
  const pin = typeof asked === 'number' || typeof asked === 'bigint' ? { instance: BigInt(asked) } : {};
  const reading: ShapedCall = { ...rest, ...pin, signal, shape };
  const first = (async () => {
    let found: TokenChunk | undefined;
    try {
      for await (const item of pool.client.generate(request, reading)) found ??= toTokenChunk(item);
    } catch (error) {
      throw ofTheRouter(error);
    }
    return found;
  })();
  first.catch((error: unknown) => placed.reject(error));
  // Whoever awaits only one of the two hears of the failure there.
  placed.promise.catch(() => undefined);
  return {
    placed: placed.promise,
    first,
    async [Symbol.asyncDispose]() {
      stop.abort(new DynamoError('cancelled', 'the request has ended'));
      await first.catch(() => undefined);
    },
  };
}

function bootstrapFor(pool: PrefillPool, half: Half): Bootstrap | undefined {
  const place = pool.bootstrapOf(half.workerId);
  if (place === undefined) return undefined;
  const room = bootstrapRoom(randomBytes(8).readBigUInt64BE() >> 1n, { dpRank: half.dpRank ?? 0, dpSize: place.dpSize });
  return { host: place.host, port: place.port, room, handoffId: uuidBytes() };
}

/** The 16 bytes of a random UUID (version 4). */
function uuidBytes(): Uint8Array {
  const bytes = randomBytes(16);
  bytes[6] = ((bytes[6] as number) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] as number) & 0x3f) | 0x80;
  return bytes;
}

/** Reads the prefill's answer; one that hands nothing over is told as the real frontend tells it (spec kv-router 18). */
function handedOver(first: TokenChunk | undefined): ReturnType<typeof readPrefill> {
  try {
    return readPrefill(first);
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    throw new DynamoError('unknown', message, { cause, data: { public: { type: 'message', message: 'Failed to generate completions' } } });
  }
}

/** A prefill's failure comes before any stream to the client: it is told by its status also where a stream was asked for. */
function ofTheRouter(error: unknown): unknown {
  if (!DynamoError.is(error)) return error;
  const { remote: _, ...data } = error.data;
  return new DynamoError(error.code, error.message, { cause: error, data });
}
