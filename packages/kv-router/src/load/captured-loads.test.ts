import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { RankTable } from '../ranks.ts';
import { ActiveSequences } from './active-sequences.ts';
import { fromBigints } from './sequence-table.ts';

type Step =
  | ['add', id: string, worker: number, dpRank: number, prefill: number, tracked: boolean, reused: boolean, blocks: number[]]
  | ['output', id: string, decay: number | null]
  | ['done', id: string]
  | ['free', id: string]
  | ['loads', rows: [worker: number, dpRank: number, prefill: number, blocks: number, requests: number][]];

// Random scripts against SelectionService of 1.6.1: blocks are numbered by their chains, loads are those that it told.
// The decays bring many sums near a half, where the order of additions decides how it is rounded.
const scripts = readFileSync(new URL('./testing/captured-loads.jsonl', import.meta.url), 'utf8')
  .trim()
  .split('\n')
  .map((line, at) => [at, JSON.parse(line) as Step[]] as const);

test.each(scripts)('the running service counts script %i alike, to the last rounding', (_at, steps) => {
  const ranks = new RankTable();
  const loads = new ActiveSequences({ clock: () => 0, ranks });
  let made = 1n << 32n;
  for (const step of steps) {
    if (step[0] === 'add') {
      const [, id, worker, dpRank, prefill, tracked, reused, blocks] = step;
      const sequence = fromBigints(blocks.map((block) => (reused ? BigInt(block) : made++)));
      loads.add({ id, rank: ranks.intern(BigInt(worker), dpRank), sequence, prefillTokens: tracked ? prefill : 0 });
    } else if (step[0] === 'output') expect(loads.addOutputBlock(step[1], step[2] ?? undefined)).toBe(true);
    else if (step[0] === 'done') expect(loads.prefillDone(step[1])).toBe(true);
    else if (step[0] === 'free') expect(loads.free(step[1])).toBe(true);
    else {
      const columns = loads.columns();
      const told = step[1].map(([worker, dpRank]) => {
        const rank = ranks.intern(BigInt(worker), dpRank);
        return [worker, dpRank, columns.prefillTokens[rank] ?? 0, columns.blocks[rank] ?? 0, columns.requests[rank] ?? 0];
      });
      expect(told).toEqual(step[1]);
    }
  }
});
