import { DynamoError } from '@dynamo/runtime';
import type { RecordedDecision } from '../wire/recording.ts';
import { Draws } from './draws.ts';
import { OfflineRouter, recordedOptions } from './offline-router.ts';
import { readRecording } from './recorder.ts';

/** A decision that came out otherwise than it was recorded. */
export interface Difference {
  readonly id: string;
  readonly recorded: Outcome;
  readonly replayed: Outcome;
}

interface Outcome {
  readonly workerId: bigint;
  readonly dpRank: number;
  readonly cost: number;
  readonly overlapBlocks: number;
}

/** What a replay came to. */
export interface ReplayReport {
  readonly decisions: number;
  readonly events: number;
  readonly differences: readonly Difference[];
  /** Lines that are missing in the recording: what comes after them may differ. */
  readonly lostLines: number;
}

/**
 * Takes every recorded step again and compares each decision, bit for bit.
 *
 * @throws DynamoError `backend_protocol` for what is no recording of a router.
 */
export async function replayRouting(path: string): Promise<ReplayReport> {
  let now = 0;
  const draws = new Draws(0);
  let router: OfflineRouter | undefined;
  const counts = { decisions: 0, events: 0, lostLines: 0 };
  const differences: Difference[] = [];
  for await (const { timestamp, entry } of readRecording(path)) {
    now = timestamp;
    if (entry.kind === 'router') {
      router = new OfflineRouter(recordedOptions(entry.router), { clock: () => now, random: draws.next });
      continue;
    }
    if (router === undefined) throw new DynamoError('backend_protocol', `${path} does not begin with a router's settings`);
    if (entry.kind === 'lost') counts.lostLines += entry.lines;
    if (entry.kind === 'event') counts.events++;
    if (entry.kind !== 'decision') {
      router.take(entry);
      continue;
    }
    counts.decisions++;
    draws.state = entry.decision.random;
    const replayed = outcomeOf(router.decide(entry.decision, router.promptOf(entry.decision)));
    const recorded = outcomeOf(entry.decision);
    if (!same(recorded, replayed)) differences.push({ id: entry.decision.id, recorded, replayed });
  }
  return { ...counts, differences };
}

const outcomeOf = ({ workerId, dpRank, cost, overlapBlocks }: Outcome | RecordedDecision): Outcome => ({ workerId, dpRank, cost, overlapBlocks });

const same = (a: Outcome, b: Outcome): boolean =>
  a.workerId === b.workerId && a.dpRank === b.dpRank && Object.is(a.cost, b.cost) && Object.is(a.overlapBlocks, b.overlapBlocks);
