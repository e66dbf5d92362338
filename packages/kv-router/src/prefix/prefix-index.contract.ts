import { describe, expect, test } from 'vitest';
import type { PromptHashes } from '../hash/block-hash.ts';
import { RankTable } from '../ranks.ts';
import type { RouterEvent } from '../wire/kv-event.ts';
import type { Overlaps, PrefixIndex, PrefixIndexOptions } from './prefix-index.ts';

/** What every prefix index must do; what one learns from is told by `learns`. */
export interface PrefixIndexContract {
  open(options: PrefixIndexOptions): PrefixIndex;
  learns: 'events' | 'routing' | 'nothing';
}

const hashes = (first: number, n: number): BigUint64Array => BigUint64Array.from({ length: n }, (_, i) => BigInt(first + i));
const prompt = (first: number, n: number): PromptHashes => ({ local: hashes(first, n), sequence: hashes(first + 1_000_000, n) });

const stored = (workerId: bigint, { local, sequence }: PromptHashes): RouterEvent => ({
  workerId,
  dpRank: 0,
  tier: 'device',
  domain: 'worker',
  id: 1,
  change: { type: 'stored', parent: undefined, blocks: Array.from(local, (tokensHash, i) => ({ tokensHash, blockHash: sequence[i] ?? 0n })) },
});

const lists = ({ device, hostPinned, disk, external }: Overlaps): number[][] => [device, hostPinned, disk, external].map((tier) => [...tier]);

/** Runs the shared suite against one index. */
export function prefixIndexContract(name: string, { open, learns }: PrefixIndexContract): void {
  const start = (): { index: PrefixIndex; ranks: RankTable; teach: (workerId: bigint, held: PromptHashes) => void } => {
    const ranks = new RankTable();
    const index = open({ ranks, clock: () => 0 });
    const teach = (workerId: bigint, held: PromptHashes): void => {
      const rank = ranks.intern(workerId, 0);
      if (learns === 'events') expect(index.apply(stored(workerId, held))).toBe(0);
      else index.routed(held, rank);
    };
    return { index, ranks, teach };
  };
  const seen = (blocks: number): number => (learns === 'nothing' ? 0 : blocks);

  describe(`prefix index ${name}`, () => {
    test('has a number for each rank, also before it knows anything', () => {
      const { index, ranks } = start();
      expect(lists(index.overlaps(prompt(1, 4)))).toEqual([[], [], [], []]);
      for (let worker = 0n; worker < 3n; worker++) ranks.intern(worker, 0);
      expect(lists(index.overlaps(prompt(1, 4)))).toEqual([0, 1, 2, 3].map(() => [0, 0, 0]));
      expect(index.dump()).toEqual([]);
    });

    test('finds what it was taught, as deep as it goes', () => {
      const { index, teach } = start();
      teach(7n, prompt(1, 10));
      teach(8n, prompt(1, 4));
      teach(9n, prompt(500, 3));
      expect(lists(index.overlaps(prompt(1, 6)))[0]).toEqual([seen(6), seen(4), 0]);
      expect(lists(index.overlaps(prompt(1, 20)))[0]).toEqual([seen(10), seen(4), 0]);
      expect(lists(index.overlaps({ local: hashes(2, 5), sequence: hashes(1, 5) }))[0]).toEqual([0, 0, 0]);
    });

    test('an empty prompt has no overlap and leaves nothing behind', () => {
      const { index, ranks } = start();
      index.routed(prompt(1, 0), ranks.intern(1n, 0));
      expect(lists(index.overlaps(prompt(1, 0)))[0]).toEqual([0]);
      expect(index.counts()).toMatchObject({ blocks: 0, nodes: 1 });
    });

    test('a rank that is cleared holds nothing and can learn again', () => {
      const { index, ranks, teach } = start();
      teach(7n, prompt(1, 10));
      teach(8n, prompt(1, 10));
      index.clear(ranks.find(7n, 0)!);
      expect(lists(index.overlaps(prompt(1, 10)))[0]).toEqual([0, seen(10)]);
      teach(7n, prompt(1, 3));
      expect(lists(index.overlaps(prompt(1, 10)))[0]).toEqual([seen(3), seen(10)]);
    });

    test('a number that is forgotten and given to another rank brings nothing along', () => {
      const { index, ranks, teach } = start();
      teach(7n, prompt(1, 10));
      const rank = ranks.find(7n, 0)!;
      index.forget(rank);
      ranks.release(rank);
      expect(ranks.intern(70n, 0)).toBe(rank);
      expect(lists(index.overlaps(prompt(1, 10)))[0]).toEqual([0]);
      teach(70n, prompt(1, 2));
      expect(lists(index.overlaps(prompt(1, 10)))[0]).toEqual([seen(2)]);
      index.forget(rank);
      expect(index.counts()).toMatchObject({ blocks: 0, nodes: 1 });
    });

    test('its dump teaches another index the same', () => {
      const { index, teach } = start();
      teach(7n, prompt(1, 10));
      teach(8n, prompt(1, 4));
      teach(8n, {
        local: BigUint64Array.from([...hashes(1, 4), ...hashes(90, 3)]),
        sequence: BigUint64Array.from([...hashes(1_000_001, 4), ...hashes(90, 3)]),
      });
      const other = start();
      for (const event of index.dump()) expect(other.index.apply(event)).toBe(0);
      if (learns !== 'events') return;
      expect(lists(other.index.overlaps(prompt(1, 10)))[0]?.toSorted()).toEqual([10, 4]);
      expect(other.index.counts().blocks).toBe(index.counts().blocks);
    });

    test('a message that is no message has no effect', () => {
      const { index } = start();
      const batch = index.decode(new TextEncoder().encode('{"event_id":'), 'json');
      for (let i = 0; i < batch.length; i++) batch.apply(i);
      expect(index.counts()).toMatchObject({ blocks: 0, events: { ok: 0 } });
    });
  });
}
