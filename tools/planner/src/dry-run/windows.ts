import { workloadOf } from '@dynamo/replay';
import { DynamoError } from '@dynamo/runtime';

/** What came in one interval, with the means of its prompts and answers. */
export interface TrafficWindow {
  readonly startSeconds: number;
  readonly requests: number;
  readonly inputTokens: number;
  readonly outputTokens: number;
}

/** Cuts a mooncake trace into intervals; empty ones are among them (spec planner 8). */
export async function traceWindows(files: readonly string[], intervalSeconds: number): Promise<readonly TrafficWindow[]> {
  const workload = await workloadOf({ trace: files });
  const sums: { requests: number; input: number; output: number }[] = [];
  for (let turns = await workload.read(); turns.length > 0; turns = await workload.read())
    for (const first of turns) {
      let atMs = first.arrivalMs ?? 0;
      for (let turn: typeof first | undefined = first; turn !== undefined; turn = turn.next) {
        atMs += turn.delayMs;
        const index = Math.floor(atMs / 1_000 / intervalSeconds);
        while (sums.length <= index) sums.push({ requests: 0, input: 0, output: 0 });
        const sum = sums[index];
        if (sum === undefined) continue;
        sum.requests++;
        sum.input += turn.input;
        sum.output += turn.output;
      }
    }
  return sums.map(({ requests, input, output }, index) => ({
    startSeconds: index * intervalSeconds,
    requests,
    inputTokens: requests === 0 ? 0 : input / requests,
    outputTokens: requests === 0 ? 0 : output / requests,
  }));
}

/** A made-up day. */
export interface DayOptions {
  /** Requests a second at the busiest hour; the quietest has a tenth of them. */
  readonly peakPerSecond: number;
  readonly intervalSeconds: number;
  readonly hours?: number;
  readonly inputTokens?: number;
  readonly outputTokens?: number;
  readonly seed?: number;
}

/** A day that is quiet at night and busy in the afternoon, with noise and a spike at noon; equal seeds give equal days. */
export function syntheticDay(options: DayOptions): readonly TrafficWindow[] {
  const { peakPerSecond, intervalSeconds, hours = 24, inputTokens = 3_000, outputTokens = 150, seed = 1 } = options;
  if (!(peakPerSecond >= 0 && peakPerSecond < Infinity))
    throw new DynamoError('invalid_argument', `a day can't have ${peakPerSecond} requests a second`);
  const random = mulberry(seed);
  return Array.from({ length: Math.floor((hours * 3_600) / intervalSeconds) }, (_, index) => {
    const startSeconds = index * intervalSeconds;
    const hour = (startSeconds / 3_600) % 24;
    const tide = 0.55 - 0.45 * Math.cos(((hour - 3) / 24) * 2 * Math.PI);
    const spike = hour >= 12 && hour < 12.25 ? 1.5 : 1;
    return {
      startSeconds,
      requests: Math.round(peakPerSecond * tide * spike * (0.95 + 0.1 * random()) * intervalSeconds),
      inputTokens: inputTokens * (0.9 + 0.2 * random()),
      outputTokens: outputTokens * (0.9 + 0.2 * random()),
    };
  });
}

/** Numbers from 0 to 1 that a seed settles. */
function mulberry(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
