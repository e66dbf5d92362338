import { outputGrowth } from '../load/output-growth.ts';
import { hitRate } from '../metrics/router-metrics.ts';
import type { Placed } from '../select/scheduler.ts';
import type { Desk } from './desk.ts';
import { type Job, sharedOf } from './job.ts';
import { tierOverlaps } from './tier-overlaps.ts';

/** A request that is placed and counted on its rank until it is freed. */
export interface Booking {
  readonly placed: Placed;
  /** Which part of the prompt's blocks the rank is expected to hold. */
  readonly hitRate: number;
  /** How many requests waited when this one came. */
  readonly queueDepth: number;
  /** The prompt has been read: its tokens no longer count. */
  prefillDone(): void;
  /** More tokens have come out. */
  output(tokens: number): void;
  /** The worker says how much of the prompt it had. */
  reused(tokens: number): void;
  free(): void;
}

/** Opens the booking of a request that has been placed and counted. */
export function openBooking(desk: Desk, queue: { drain(): void }, made: { readonly job: Job; readonly placed: Placed }): Booking {
  const { parts, recorder } = desk;
  const { job, placed } = made;
  const { sequences } = parts;
  const { settings, blockSize } = parts.options;
  const { id, hints } = job;
  const isl = job.request.tokenIds.length;
  const shared = sharedOf(job, placed);
  const meter = desk.metrics().begin(placed, { isl, blockSize, times: job.times });
  const { expectedOutputTokens: expectedTokens } = hints;
  const growth = settings.trackOutputBlocks
    ? outputGrowth({ isl, blockSize, ...(expectedTokens === undefined ? {} : { expectedTokens }) }, (decay) => {
        recorder?.record({ kind: 'output', id, decay });
        sequences.addOutputBlock(id, decay);
      })
    : undefined;
  let freed = false;
  const told: { tokens: number; cached: number | undefined } = { tokens: 0, cached: undefined };
  return {
    placed,
    hitRate: hitRate(placed, { isl, blockSize }),
    queueDepth: job.queueDepth,
    prefillDone: () => {
      if (freed || !sequences.has(id)) return;
      recorder?.record({ kind: 'read', id });
      sequences.prefillDone(id);
      if (job.expected !== undefined) desk.trust()?.read(job.expected);
      desk.replicas()?.prefillDone(shared);
      queue.drain();
    },
    output: (tokens) => {
      told.tokens += tokens;
      meter.output(tokens);
      growth?.grow(tokens);
    },
    reused: (tokens) => {
      told.cached = tokens;
      meter.reused(tokens);
    },
    free: () => {
      if (freed) return;
      freed = true;
      meter.end();
      // Engines may say it with every chunk: the last word counts.
      if (told.cached !== undefined) answered(desk, job, told.cached);
      recorder?.record({ kind: 'freed', id, outputTokens: told.tokens, cachedTokens: told.cached });
      sequences.free(id);
      desk.replicas()?.freed(shared);
      queue.drain();
    },
  };
}

/** Holds what the engine had cached against what was expected. What a decode worker was handed by another is no prefix of its own. */
function answered({ parts, trust }: Desk, { expected, prompt }: Job, tokens: number): void {
  const { ranks, workers, index } = parts;
  if (expected === undefined || !ranks.has(expected.rank)) return;
  if (workers.ofRank(expected.rank)?.config.role === 'decode') return;
  trust()?.answered(expected, tokens, () => {
    const { device, host, disk, external } = tierOverlaps(index, prompt);
    const { rank } = expected;
    return (device[rank] ?? 0) + (host[rank] ?? 0) + (disk[rank] ?? 0) + (external[rank] ?? 0);
  });
}
