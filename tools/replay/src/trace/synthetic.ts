import { DynamoError } from '@dynamo/runtime';
import type { Turn, Workload } from './turn.ts';

/** A workload that is made up. */
export interface SyntheticOptions {
  readonly inputTokens: number;
  readonly outputTokens: number;
  /** How many sessions; each has `turns` requests. */
  readonly requests: number;
  /** Arrivals at random, this many a second. */
  readonly ratePerSecond?: number | undefined;
  /** Arrivals one after the other at equal distances. Without either, all come at once. */
  readonly intervalMs?: number | undefined;
  /** Where chance begins. */
  readonly seed?: number | undefined;
  readonly turns?: number | undefined;
  /** Part of each prompt that others of its group share. */
  readonly sharedPrefix?: number | undefined;
  /** How many such groups there are. */
  readonly groups?: number | undefined;
  readonly turnDelayMs?: number | undefined;
  /** Tokens that one id stands for. */
  readonly blockSize?: number | undefined;
}

/** How many sessions are made at a time. */
const pieceSize = 256;

/**
 * Makes up a workload, a piece at a time. A later turn of a session repeats what was said before and goes on from there.
 *
 * @throws DynamoError `invalid_argument` for numbers that can't be.
 */
export function synthetic(options: SyntheticOptions): Workload {
  const { inputTokens, outputTokens, requests, turns = 1, sharedPrefix = 0, groups = 0, turnDelayMs = 0, blockSize = 64 } = options;
  for (const [name, value] of Object.entries({ inputTokens, outputTokens, requests, turns, blockSize }))
    if (!(Number.isSafeInteger(value) && value > 0)) throw wrong(`${name} must be a count above 0, got ${value}`);
  if (!(sharedPrefix >= 0 && sharedPrefix <= 1)) throw wrong(`shared_prefix_ratio must be between 0 and 1, got ${sharedPrefix}`);
  if (options.ratePerSecond !== undefined && options.intervalMs !== undefined)
    throw wrong('request_rate and arrival_interval_ms are two ways to say one thing');
  const random = chance(options.seed ?? 42);
  let made = 0;
  let nowMs = 0;
  let unique = groups * 1_000_000;
  const session = (index: number, arrivalMs: number): Turn => {
    const group = groups === 0 ? -1 : index % groups;
    const ids: number[] = [];
    const lengths = Array.from({ length: turns }, (_, turn) => (turn + 1) * inputTokens + turn * outputTokens);
    const shared = group < 0 ? 0 : Math.floor((inputTokens * sharedPrefix) / blockSize);
    for (let block = 0; block < Math.ceil((lengths.at(-1) ?? 0) / blockSize); block++)
      ids.push(block < shared ? group * 1_000_000 + block : unique++);
    return lengths.reduceRight<Turn | undefined>(
      (next, input, turn) => ({
        input,
        output: outputTokens,
        ids: ids.slice(0, Math.ceil(input / blockSize)),
        arrivalMs: turn === 0 ? arrivalMs : undefined,
        session: turns === 1 ? undefined : `session_${index + 1}`,
        turn,
        next,
        delayMs: turn === 0 ? 0 : turnDelayMs,
        priority: undefined,
        strictPriority: undefined,
        policyClass: undefined,
      }),
      undefined,
    ) as Turn;
  };
  return {
    blockSize,
    total: requests * turns,
    async read() {
      const piece: Turn[] = [];
      for (; made < requests && piece.length < pieceSize; made++) {
        piece.push(session(made, nowMs));
        if (options.ratePerSecond !== undefined) nowMs += (-Math.log(1 - random()) / options.ratePerSecond) * 1_000;
        else nowMs += options.intervalMs ?? 0;
      }
      return piece;
    },
  };
}

const wrong = (message: string): DynamoError => new DynamoError('invalid_argument', message);

/** Uniform draws in 0 … 1 that are the same for the same seed. */
export function chance(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b_79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
