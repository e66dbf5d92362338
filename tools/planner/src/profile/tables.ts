import { cubicSpline } from './spline.ts';

/** How engines that read prompts were measured, over the length of the prompt. */
export interface PrefillProfile {
  readonly inputTokens: readonly number[];
  /** Time to the first token in milliseconds. */
  readonly ttftMs: readonly number[];
  /** Prompt tokens a second and GPU. */
  readonly tokensPerGpu: readonly number[];
}

/** Looks between what was measured; outside of it the nearest end stands (spec planner 8). */
export interface PrefillTable {
  ttftMs(inputTokens: number): number;
  tokensPerGpu(inputTokens: number): number;
}

/** A table of what was measured of engines that read prompts. */
export function prefillTable({ inputTokens, ttftMs, tokensPerGpu }: PrefillProfile): PrefillTable {
  const [low, high] = [inputTokens[0] ?? 0, inputTokens.at(-1) ?? 0];
  const within = (length: number): number => Math.min(high, Math.max(low, length));
  const [times, rates] = [cubicSpline(inputTokens, ttftMs), cubicSpline(inputTokens, tokensPerGpu)];
  return { ttftMs: (length) => times(within(length)), tokensPerGpu: (length) => rates(within(length)) };
}

/** Points of a decode table a side (spec planner 8). */
const gridSize = 100;

/**
 * What was measured of engines that generate, as squares of values: a row for each context length from 0 to the longest,
 * in each a value for every use of the cache from 0 to 1.
 */
export interface DecodeGrids {
  readonly itlMs: readonly (readonly number[])[];
  readonly tokensPerGpu: readonly (readonly number[])[];
  /** The context length of the last row. */
  readonly longestContext: number;
  readonly maxKvTokens: number;
}

/** A place of a decode table. */
export interface DecodePoint {
  readonly itlMs: number;
  readonly tokensPerGpu: number;
  readonly kvUsage: number;
}

/** Reads a decode table at its nearest point (spec planner 8). */
export class DecodeTable {
  readonly #grids: DecodeGrids;

  constructor(grids: DecodeGrids) {
    this.#grids = grids;
  }

  /** At so many requests at once, of this mean length. */
  at(concurrency: number, contextTokens: number): DecodePoint {
    return this.#point(this.#row(contextTokens), nearest((concurrency * contextTokens) / this.#grids.maxKvTokens));
  }

  /** The fullest cache at which a token still comes in time; an empty one when none does. */
  best(itlMs: number, contextTokens: number): DecodePoint {
    const row = this.#row(contextTokens);
    for (let column = gridSize - 1; column > 0; column--)
      if ((this.#grids.itlMs[row]?.[column] ?? Infinity) <= itlMs) return this.#point(row, column);
    return this.#point(row, 0);
  }

  #row(contextTokens: number): number {
    return nearest(contextTokens / this.#grids.longestContext);
  }

  #point(row: number, column: number): DecodePoint {
    return {
      itlMs: this.#grids.itlMs[row]?.[column] ?? NaN,
      tokensPerGpu: this.#grids.tokensPerGpu[row]?.[column] ?? NaN,
      kvUsage: column / (gridSize - 1),
    };
  }
}

/** Index of the nearest of the points over 0 to 1; of two equally near the even one. */
function nearest(part: number): number {
  const place = part * (gridSize - 1);
  const floor = Math.floor(place);
  const rest = place - floor;
  const rounded = rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? floor + 1 : floor;
  return Math.min(gridSize - 1, Math.max(0, rounded));
}
