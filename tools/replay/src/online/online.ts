import { DynamoError } from '@dynamo/runtime';
import { Arrivals } from '../arrivals.ts';
import { type Sla, series, Tally } from '../metrics/tally.ts';
import { SimRequest } from '../sim-request.ts';
import type { Turn, Workload } from '../trace/turn.ts';
import { eventsOf } from './sse.ts';

/** A replay against a frontend that runs. */
export interface OnlineOptions {
  /** Address of the frontend, such as `http://127.0.0.1:8000`. */
  readonly url: string;
  readonly model: string;
  /** Keeps this many sessions running and ignores when they arrive. */
  readonly concurrency?: number | undefined;
  readonly sla?: Sla | undefined;
  /** Ends a request that brings nothing for this long. */
  readonly timeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onEnded?: ((request: SimRequest) => void) | undefined;
}

/** Token ids that prompts are made of: any tokenizer has these. */
const tokens = { from: 10, count: 240 } as const;

/** The token at a place of a trace block: different from block to block, the same for the same id. */
function tokenAt(id: number | bigint, place: number): number {
  let mixed = Math.imul(Number(BigInt(id) & 0xffff_ffffn) ^ Math.imul(place + 1, 0x9e37_79b1), 0x85eb_ca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2_ae35);
  return tokens.from + (((mixed ^ (mixed >>> 16)) >>> 0) % tokens.count);
}

/** The prompt of a turn. */
function promptOf({ ids, input }: Turn, blockSize: number): number[] {
  return Array.from({ length: input }, (_, place) => tokenAt(ids[Math.floor(place / blockSize)] ?? 0, place % blockSize));
}

/** Sends a workload to a frontend at its times, and measures what a client sees. Failed requests count as rejected. */
export async function replayOnline(workload: Workload, options: OnlineOptions): Promise<Tally> {
  const { concurrency = Infinity, signal } = options;
  const tally = new Tally({ ranks: 1, sla: options.sla });
  const arrivals = new Arrivals(workload);
  const began = performance.now();
  const clock = (): number => performance.now() - began;
  const running = new Set<Promise<void>>();
  let [sessions, nextId] = [0, 0];
  let wake = Promise.withResolvers<void>();
  const start = (turn: Turn): void => {
    if (turn.turn === 0) sessions++;
    const none = new BigUint64Array(0);
    const arrivalMs = options.concurrency === undefined ? (turn.arrivalMs ?? clock()) : clock();
    const request = new SimRequest(nextId++, { turn, prompt: { local: none, sequence: none }, arrivalMs });
    tally.arrived(arrivalMs);
    const task = send(request, { ...options, clock, tally, blockSize: workload.blockSize }).then(() => {
      running.delete(task);
      if (turn.next === undefined) sessions--;
      tally.ended(request);
      arrivals.ended(turn, clock());
      options.onEnded?.(request);
      wake.resolve();
    });
    running.add(task);
  };
  while (!(arrivals.done && running.size === 0)) {
    signal?.throwIfAborted();
    if (!arrivals.ready) await arrivals.read();
    for (let turn = arrivals.take(clock(), sessions < concurrency); turn !== undefined; turn = arrivals.take(clock(), sessions < concurrency)) {
      start(turn);
      if (!arrivals.ready) await arrivals.read();
    }
    if (arrivals.done && running.size === 0) break;
    wake = Promise.withResolvers<void>();
    await waitUntil(arrivals.timeOf(sessions < concurrency) - clock(), wake.promise);
  }
  return tally;
}

/** Waits for a time, or for something to end. */
async function waitUntil(ms: number, woken: Promise<void>): Promise<void> {
  if (ms === Infinity) return woken;
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, Math.max(0, ms));
  try {
    await Promise.race([promise, woken]);
  } finally {
    clearTimeout(timer);
  }
}

interface Sending extends OnlineOptions {
  readonly clock: () => number;
  readonly tally: Tally;
  readonly blockSize: number;
}

async function send(request: SimRequest, options: Sending): Promise<void> {
  try {
    await stream(request, options);
    request.outcome = 'completed';
  } catch (error) {
    options.signal?.throwIfAborted();
    request.outcome = 'rejected';
    // The first one is told; a frontend that is gone would fill the screen.
    if (options.tally.rejected === 0) process.stderr.write(`dynamo: a request failed: ${reasonOf(error)}\n`);
  }
  request.endMs = options.clock();
}

const reasonOf = (error: unknown): string => {
  const { message, cause } = error instanceof Error ? error : new Error(String(error));
  return cause instanceof Error ? `${message}: ${cause.message}` : message;
};

async function stream(request: SimRequest, { url, model, clock, tally, blockSize, signal, timeoutMs = 600_000 }: Sending): Promise<void> {
  const { turn } = request;
  const limit = AbortSignal.timeout(timeoutMs);
  const response = await fetch(new URL('/v1/completions', url), {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      model,
      prompt: promptOf(turn, blockSize),
      max_tokens: Math.max(1, turn.output),
      ignore_eos: true,
      stream: true,
      stream_options: { include_usage: true },
    }),
    signal: signal === undefined ? limit : AbortSignal.any([signal, limit]),
  });
  if (!response.ok || response.body === null) throw new DynamoError('unavailable', `${response.status} ${(await response.text()).slice(0, 200)}`);
  request.firstAdmitMs = clock();
  for await (const data of eventsOf(response.body)) {
    const chunk = JSON.parse(data) as {
      readonly error?: { readonly message?: string };
      readonly choices?: readonly { readonly text?: string | null; readonly finish_reason?: string | null }[];
      readonly usage?: { readonly completion_tokens?: number; readonly prompt_tokens_details?: { readonly cached_tokens?: number } | null } | null;
    };
    if (chunk.error !== undefined) throw new DynamoError('unavailable', chunk.error.message ?? 'the stream ended with an error');
    const cached = chunk.usage?.prompt_tokens_details?.cached_tokens;
    if (cached !== undefined) request.cachedTokens = request.firstCachedTokens = cached;
    if ((chunk.choices?.[0]?.text ?? '') !== '') note(request, clock(), tally);
    if (chunk.usage?.completion_tokens !== undefined) request.tokens = chunk.usage.completion_tokens;
  }
  tally.overTime.add(series.promptTokens, request.firstAdmitMs, turn.input);
  tally.overTime.add(series.cachedTokens, request.firstAdmitMs, request.cachedTokens);
}

function note(request: SimRequest, nowMs: number, tally: Tally): void {
  if (request.tokens === 0) request.firstTokenMs = nowMs;
  else {
    if (request.tokens === 1) request.secondTokenMs = nowMs;
    tally.gaps(nowMs - request.lastTokenMs, 1);
  }
  request.tokens++;
  request.lastTokenMs = nowMs;
}
