import type { PassModel } from './model.ts';

/** What an engine does: read prompts, generate, or both. */
export type EngineKind = 'prefill' | 'decode' | 'agg';

/** What an engine can hold, from its model card. */
export interface EngineLimits {
  readonly maxBatchedTokens: number;
  readonly maxSequences: number;
  readonly maxKvTokens: number;
}

/** A mean request, and what its users are promised, in seconds. */
export interface RequestShape {
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly ttftSla?: number | null;
  readonly itlSla?: number | null;
  readonly e2eSla?: number | null;
  /** Part of the prompts that is in the cache. */
  readonly kvHitRate?: number | null;
  /** Tokens that a pass yields where the engine speculates. */
  readonly acceptLength?: number | null;
}

/** The best that one engine can do; null times are those that its kind does not have. */
export interface Capacity {
  readonly requestsPerSecond: number;
  readonly ttft: number | null;
  readonly itl: number | null;
  readonly e2e: number | null;
  /** Whether it keeps every promise. */
  readonly eligible: boolean;
}

/** Most batch sizes that are tried (spec planner 6). */
const mostBatchSizes = 128;

/** Searches the batch size with the most requests a second that keeps the promises (spec planner 6); null when the engine can't serve such requests. */
export function capacityOf(
  kind: EngineKind,
  engine: { readonly model: PassModel; readonly limits: EngineLimits },
  shape: RequestShape,
): Capacity | null {
  if (shape.inputTokens <= 0) return null;
  const request = requestOf(shape);
  const { most, at } = searches[kind](engine, request);
  let best: Capacity | null = null;
  for (const batch of batchSizes(most)) {
    const found = at(batch);
    if (found === undefined || !(found.requestsPerSecond > 0) || !Number.isFinite(found.requestsPerSecond)) continue;
    const candidate = { ...found, eligible: keeps(found, shape) };
    if (best === null || (candidate.eligible && !best.eligible)) best = candidate;
    else if (candidate.eligible === best.eligible && candidate.requestsPerSecond > best.requestsPerSecond) best = candidate;
  }
  return best;
}

interface Request {
  readonly input: number;
  readonly output: number;
  /** Prompt tokens that are really read. */
  readonly read: number;
  readonly accept: number;
  /** Mean length while it is generated. */
  readonly context: number;
}

type Found = Omit<Capacity, 'eligible'>;
type Search = (
  engine: { readonly model: PassModel; readonly limits: EngineLimits },
  request: Request,
) => { readonly most: number; readonly at: (batch: number) => Found | undefined };

function requestOf({ inputTokens, outputTokens, kvHitRate, acceptLength }: RequestShape): Request {
  const hits = kvHitRate === null || kvHitRate === undefined || Number.isNaN(kvHitRate) ? 0 : Math.min(0.95, Math.max(0, kvHitRate));
  const accept = acceptLength !== null && acceptLength !== undefined && Number.isFinite(acceptLength) && acceptLength > 1 ? acceptLength : 1;
  return {
    input: inputTokens,
    output: outputTokens,
    read: Math.max(1, Math.ceil(inputTokens * (1 - hits))),
    accept,
    context: Math.max(1, inputTokens + Math.floor(outputTokens / 2)),
  };
}

function* batchSizes(most: number): Generator<number> {
  const count = Math.min(most, mostBatchSizes);
  for (let index = 0; index < count; index++) yield most <= mostBatchSizes ? index + 1 : 1 + Math.floor((index * (most - 1)) / (mostBatchSizes - 1));
}

/** Time to read so many prompt tokens, in chunks as large as a pass takes. */
function readingTime(model: PassModel, tokens: number, most: number, decode = { decodeRequests: 0, decodeKvTokens: 0 }): number {
  const full = Math.floor(tokens / most);
  const rest = tokens - full * most;
  const chunk = full === 0 ? 0 : model.seconds({ prefillTokens: most, ...decode });
  return full * chunk + (rest === 0 ? 0 : model.seconds({ prefillTokens: rest, ...decode }));
}

const searches: Readonly<Record<EngineKind, Search>> = {
  prefill({ model, limits }, { read }) {
    const most = read > limits.maxBatchedTokens ? 1 : Math.min(limits.maxSequences, Math.floor(limits.maxBatchedTokens / read));
    return {
      most,
      at(batch) {
        const ttft = readingTime(model, read * batch, limits.maxBatchedTokens);
        return { requestsPerSecond: batch / ttft, ttft, itl: null, e2e: ttft };
      },
    };
  },
  decode({ model, limits }, { output, context, accept }) {
    return {
      most: output <= 0 ? 0 : decodeMost(limits, context),
      at(batch) {
        const itl = model.seconds({ prefillTokens: 0, decodeRequests: batch, decodeKvTokens: batch * context }) / accept;
        return { requestsPerSecond: batch / (output * itl), ttft: null, itl, e2e: null };
      },
    };
  },
  agg({ model, limits }, { output, context, accept, read }) {
    return {
      most: output <= 0 ? 0 : Math.min(decodeMost(limits, context), limits.maxBatchedTokens - 1),
      at(batch) {
        const prefill = Math.ceil((batch * accept * read) / Math.max(1, output));
        if (prefill > limits.maxBatchedTokens - batch) return undefined;
        const decode = { decodeRequests: batch, decodeKvTokens: batch * context };
        const itl = model.seconds({ prefillTokens: Math.min(limits.maxBatchedTokens, prefill), ...decode }) / accept;
        const ttft = readingTime(model, prefill + read, limits.maxBatchedTokens, decode);
        return { requestsPerSecond: batch / (output * itl), ttft, itl, e2e: ttft + itl * (output - 1) };
      },
    };
  },
};

const decodeMost = ({ maxSequences, maxKvTokens }: EngineLimits, context: number): number =>
  Math.min(maxSequences, Math.floor(maxKvTokens / context));

function keeps({ ttft, itl, e2e }: Found, { ttftSla, itlSla, e2eSla }: RequestShape): boolean {
  const kept = (value: number | null, most: number | null | undefined): boolean =>
    most === null || most === undefined || (value !== null && value <= most);
  return kept(ttft, ttftSla) && kept(itl, itlSla) && kept(e2e, e2eSla);
}
