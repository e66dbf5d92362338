import type { PrefixIndex } from '../prefix/prefix-index.ts';
import type { Ranks } from '../ranks.ts';
import type { SourceReport } from '../sources/kv-sources.ts';
import { type KeptDecision, type RankChain, type RunningRequest, type SessionBinding, StateWriter } from '../wire/router-state.ts';

/** What a router shows of itself to one that begins. */
export interface StateHost {
  readonly blockSize: number;
  readonly index: PrefixIndex;
  readonly indexName: string;
  readonly ranks: Ranks;
  readonly sources: () => readonly SourceReport[];
  readonly requests: () => Iterable<RunningRequest>;
  readonly sessions: () => Iterable<SessionBinding>;
}

/** Hashes of one frame, and things of other kinds: frames of about 128 KiB. */
const frameBlocks = 8_192;
const frameItems = 1_024;

/**
 * Writes down what a router knows, in one go: cursors and blocks are of one moment.
 *
 * Ranks that are not heard well are left out: whoever begins asks their workers, as it would without a state.
 */
export function captureState(host: StateHost, takenAt: number): Uint8Array[] {
  const writer = new StateWriter();
  const sources = host
    .sources()
    .flatMap(({ publisher, workerId, dpRank, state, cursor }) =>
      state === 'live' && cursor !== undefined ? [{ publisher, workerId, dpRank, cursor }] : [],
    );
  const frames = [writer.frame({ kind: 'head', blockSize: host.blockSize, index: host.indexName, takenAt, sources })];
  const heard = new Set(sources.map(({ workerId }) => workerId));
  const byBlocks = { most: frameBlocks, weigh: ({ length }: BigUint64Array): number => length + 8 };
  if (heard.size > 0)
    for (const chains of grouped(chainsOf(host, heard), byBlocks.most, ({ blocks }) => byBlocks.weigh(blocks)))
      frames.push(writer.frame({ kind: 'chains', chains }));
  for (const decisions of grouped(host.index.decisions(), byBlocks.most, ({ local }: KeptDecision) => byBlocks.weigh(local)))
    frames.push(writer.frame({ kind: 'decisions', decisions }));
  for (const requests of grouped(host.requests(), frameItems)) frames.push(writer.frame({ kind: 'requests', requests }));
  for (const sessions of grouped(host.sessions(), frameItems)) frames.push(writer.frame({ kind: 'sessions', sessions }));
  frames.push(writer.end());
  return frames;
}

function* chainsOf({ index, ranks }: StateHost, heard: ReadonlySet<bigint>): Generator<RankChain> {
  for (const { tier, parent, tokens, blocks, holders } of index.chains()) {
    for (let at = 0; at < holders.length; at += 2) {
      const rank = holders[at] ?? 0;
      const workerId = ranks.workerIdOf(rank);
      if (!heard.has(workerId)) continue;
      const count = holders[at + 1] ?? 0;
      yield { workerId, dpRank: ranks.dpRankOf(rank), tier, parent, tokens: tokens.subarray(0, count), blocks: blocks.subarray(0, count) };
    }
  }
}

function* grouped<T>(items: Iterable<T>, most: number, weigh: (item: T) => number = () => 1): Generator<T[]> {
  let group: T[] = [];
  let weight = 0;
  for (const item of items) {
    group.push(item);
    weight += weigh(item);
    if (weight < most) continue;
    yield group;
    group = [];
    weight = 0;
  }
  if (group.length > 0) yield group;
}
