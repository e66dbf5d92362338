import { DynamoError } from '@dynamo/runtime';

/** How long the steps of a forward pass take, in milliseconds, before any speed-up. */
export interface MockTiming {
  /**
   * Reading prompts.
   *
   * @param count - Requests that read prompt tokens in this pass.
   * @param meanNew - Their mean of tokens read now, rounded as the spec says.
   * @param meanPrompt - Their mean prompt length so far: what was there before and what is read now.
   */
  prefillMs(count: number, meanNew: number, meanPrompt: number): number;
  /**
   * Generating one token each.
   *
   * @param activeTokens - Sum of the lengths of all requests that generate.
   * @param capacityTokens - Tokens that the KV cache holds.
   * @param meanContext - Their mean length.
   */
  decodeMs(activeTokens: number, capacityTokens: number, meanContext: number): number;
}

/** The built-in curves of the real mock engine (spec mocker 2). */
export class PolynomialTiming implements MockTiming {
  prefillMs(count: number, meanNew: number): number {
    if (count === 0 || meanNew === 0) return 0;
    const tokens = count * meanNew;
    return 4.209989e-7 * (tokens * tokens) + 1.518344e-2 * tokens + 1.650142e1;
  }

  decodeMs(activeTokens: number, capacityTokens: number): number {
    if (activeTokens === 0 && capacityTokens > 0) return 5.74;
    const part = Math.min(1, activeTokens / capacityTokens);
    return Math.max(1, -25.74 * (part * part) + 54.01 * part + 5.74);
  }
}

/** The same time for every pass. */
export class FixedTiming implements MockTiming {
  readonly #prefillMs: number;
  readonly #decodeMs: number;

  constructor(prefillMs: number, decodeMs: number) {
    checkLatency('prefill', prefillMs);
    checkLatency('decode', decodeMs);
    this.#prefillMs = prefillMs;
    this.#decodeMs = decodeMs;
  }

  prefillMs(count: number): number {
    return count === 0 ? 0 : this.#prefillMs;
  }

  decodeMs(): number {
    return this.#decodeMs;
  }
}

function checkLatency(step: string, ms: number): void {
  if (!(ms >= 0 && ms < Infinity)) throw new DynamoError('invalid_argument', `fixed ${step} latency must be finite and non-negative`);
}

/** Measured tables of an engine (spec mocker 6). */
export interface ProfileTables {
  /** Prompt lengths, rising, and the time to the first token of each. */
  readonly prefillTokens: readonly number[];
  readonly prefillMs: readonly number[];
  /** Tokens in the KV cache, and lengths of a request, both rising. */
  readonly activeTokens: readonly number[];
  readonly contextLength: readonly number[];
  /** Time of a decode step, by active tokens and then context length. */
  readonly decodeMs: readonly (readonly number[])[];
}

/**
 * Times read from measured tables: linear between the measured points, and on along the last two of them outside, as the
 * running 1.6.1 does it. A decode step takes at least a millisecond.
 */
export class ProfileTiming implements MockTiming {
  readonly #tables: ProfileTables;

  constructor(tables: ProfileTables) {
    this.#tables = tables;
  }

  prefillMs(count: number, meanNew: number): number {
    if (count === 0 || meanNew === 0) return 0;
    const { prefillTokens, prefillMs } = this.#tables;
    const { low, high, part } = place(prefillTokens, count * meanNew);
    return Math.max(0, mix(prefillMs[low], prefillMs[high], part));
  }

  decodeMs(activeTokens: number, _capacityTokens: number, meanContext: number): number {
    const { activeTokens: rows, contextLength, decodeMs } = this.#tables;
    const row = place(rows, activeTokens);
    const column = place(contextLength, meanContext);
    const at = (index: number): number => mix(decodeMs[index]?.[column.low], decodeMs[index]?.[column.high], column.part);
    return Math.max(1, mix(at(row.low), at(row.high), row.part));
  }
}

const mix = (low = 0, high = 0, part: number): number => low + (high - low) * part;

/** Which two points stand for a value, and how far from the first it is; below 0 and above 1 outside of all. */
function place(points: readonly number[], value: number): { low: number; high: number; part: number } {
  let low = 0;
  let high = points.length - 1;
  if (high <= 0) return { low: 0, high: 0, part: 0 };
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if ((points[middle] ?? 0) <= value) low = middle;
    else high = middle;
  }
  const from = points[low] ?? 0;
  const width = (points[high] ?? 0) - from;
  return { low, high, part: width === 0 ? 0 : (value - from) / width };
}
