import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Core, eventKind } from '../core/core.ts';
import { PromptHasher, type PromptHashes } from '../hash/block-hash.ts';
import { RankTable } from '../ranks.ts';
import { decodeRouterEvents, type RouterEvent } from '../wire/kv-event.ts';
import { writeRouterEvents } from '../wire/kv-event-writer.ts';
import { ApproximateIndex } from './approximate-index.ts';
import { EventIndex } from './event-index.ts';
import { prefixIndexes } from './index.ts';
import { prefixIndexContract } from './prefix-index.contract.ts';

prefixIndexContract('events', { open: prefixIndexes.events, learns: 'events' });
prefixIndexContract('approximate', { open: prefixIndexes.approximate, learns: 'routing' });
prefixIndexContract('none', { open: prefixIndexes.none, learns: 'nothing' });

const vector = (name: string): any[] =>
  readFileSync(new URL(`../../../../vectors/${name}`, import.meta.url), 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line));

describe('the real router without events', () => {
  test.each(vector('kv-router/approx_router.jsonl').map((row) => [row.policy, row] as const))('policy %s', (_policy, row) => {
    const ranks = new RankTable();
    let now = 0;
    const { config } = row;
    const common = { ranks, clock: () => now };
    const index = config.use_kv_events
      ? new EventIndex({ ...common, predictedTtlMs: config.router_predicted_ttl_secs * 1_000 })
      : new ApproximateIndex({
          ...common,
          ...(config.router_ttl_secs === undefined ? {} : { ttlMs: config.router_ttl_secs * 1_000 }),
          policy: config.router_approximate_cache_policy ?? 'ttl',
        });
    const hasher = new PromptHasher(new Core());
    const hash = (tokens: number[]): PromptHashes => hasher.hashes(tokens, { blockSize: row.block_size });
    const overlap = (tokens: number[], wanted: any[]): void => {
      for (const [id, dp] of wanted) ranks.intern(BigInt(id), dp);
      const { device } = index.overlaps(hash(tokens));
      expect(wanted.map(([id, dp]) => [id, dp, device[ranks.find(BigInt(id), dp) ?? -1]])).toEqual(wanted);
    };
    for (const step of row.steps) {
      now = step.at_s * 1_000;
      overlap(step.tokens, step.overlap_before);
      const [id, dp] = step.best_worker;
      index.routed(hash(step.tokens), ranks.find(BigInt(id), dp)!);
      overlap(step.tokens, step.overlap_after);
    }
    for (const [seconds, wanted] of row.overlap_of_base_at_s) {
      now = seconds * 1_000;
      overlap(row.base, wanted);
    }
    // With events the count is of what the mock workers had published on their own.
    if (!config.use_kv_events) expect(index.dump().length).toBe(row.dump_events_count_at_end);
  });
});

describe('predictions', () => {
  const ranks = new RankTable();
  for (let worker = 0n; worker < 4n; worker++) ranks.intern(worker, 0);
  const promptOf = (numbers: readonly (number | bigint)[]): PromptHashes => {
    const local = BigUint64Array.from(numbers, BigInt);
    return { local, sequence: local };
  };

  test('a block counts for as long as the last decision that named it, to the next tenth of a second', () => {
    let now = 0;
    const index = new ApproximateIndex({ ranks, clock: () => now, ttlMs: 1_000 });
    const at = (ms: number): number => {
      now = ms;
      return index.overlaps(promptOf([1, 2, 3, 4])).device[0]!;
    };
    now = 30;
    index.routed(promptOf([1, 2, 3, 4]), 0);
    now = 500;
    index.routed(promptOf([1, 2]), 0);
    expect([at(1_099), at(1_100), at(1_499), at(1_500)]).toEqual([4, 2, 2, 0]);
    expect([index.tracked, index.counts().nodes]).toEqual([0, 1]);
  });

  test('too many are reduced to the target: what expires first goes first, of that the deepest', () => {
    let now = 0;
    const index = new ApproximateIndex({ ranks, clock: () => now, maxPredicted: 20, pruneRatio: 0.5 });
    index.routed(promptOf([1, 2, 3, 4, 5, 6, 7, 8]), 0);
    index.routed(promptOf([11, 12, 13, 14, 15, 16, 17, 18]), 1);
    now = 1_000;
    index.routed(promptOf([21, 22, 23, 24, 25]), 2);
    expect(index.tracked).toBe(10);
    const device = (numbers: number[]): number => Math.max(...index.overlaps(promptOf(numbers)).device);
    // Of equal depth, the largest hash goes first.
    expect([device([1, 2, 3, 4]), device([11, 12, 13, 14]), device([21, 22, 23, 24, 25])]).toEqual([3, 2, 5]);
  });

  test('any decisions and waits leave exactly the blocks whose time is not over', () => {
    const step = fc.record({ rank: fc.nat(3), path: fc.array(fc.nat(2), { minLength: 1, maxLength: 8, size: 'max' }), wait: fc.nat(700) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60, size: 'max' }), (script) => {
        let now = 0;
        const index = new ApproximateIndex({ ranks, clock: () => now, ttlMs: 2_000 });
        const ends = Array.from({ length: 4 }, () => new Map<string, number>());
        const hashed = (path: readonly number[]): PromptHashes => ({
          local: BigUint64Array.from(path, (n) => BigInt(n) + 1n),
          sequence: BigUint64Array.from(path, (_, i) => path.slice(0, i + 1).reduce((hash, n) => hash * 4n + BigInt(n) + 1n, 1n)),
        });
        for (const { rank, path, wait } of script) {
          index.routed(hashed(path), rank);
          path.forEach((_, i) => ends[rank]!.set(path.slice(0, i + 1).join(), Math.ceil((now + 2_000) / 100) * 100));
          now += wait;
          const live = (other: number, prefix: string): boolean => (ends[other]!.get(prefix) ?? 0) > now;
          const wanted = ends.map((_, other) => path.filter((_n, i) => live(other, path.slice(0, i + 1).join())).length);
          expect([...index.overlaps(hashed(path)).device]).toEqual(wanted);
          expect(index.tracked).toBe(ends.reduce((sum, map, other) => sum + [...map.keys()].filter((prefix) => live(other, prefix)).length, 0));
        }
        now += 10_000;
        index.overlaps(hashed([0]));
        expect([index.tracked, index.counts().nodes, index.counts().blocks]).toEqual([0, 1, 0]);
      }),
      { numRuns: 150 },
    );
  });
});

describe('messages', () => {
  const payload = (frames: string[]): Uint8Array => {
    const envelope = Buffer.from(frames[3] ?? '', 'hex');
    // The envelope's last member is the payload, a bin whose length stands in front of it.
    const at = envelope.indexOf('a77061796c6f6164', 0, 'hex') + 8;
    const [size, start] = envelope[at] === 0xc4 ? [envelope[at + 1] ?? 0, at + 2] : [envelope.readUInt16BE(at + 1), at + 3];
    return envelope.subarray(start, start + size);
  };
  const captured = [...vector('runtime/zmq-kv-events.jsonl'), ...vector('kv-router/event_plane_capture.jsonl')]
    .filter(({ topic }) => topic === 'kv-events')
    .map(({ frames_hex }) => payload(frames_hex));

  test('captured ones decode to what the plain reader makes of them', () => {
    expect(captured.length).toBeGreaterThan(20);
    const quick = new EventIndex({ ranks: new RankTable(), clock: () => 0 });
    const plain = new EventIndex({ ranks: new RankTable(), clock: () => 0 });
    for (const bytes of captured) {
      const events = decodeRouterEvents(bytes);
      const batch = quick.decode(bytes, 'msgpack');
      expect(Array.from({ length: batch.length }, (_, i) => batch.event(i))).toMatchObject(
        events.map(({ workerId, dpRank, id, change }) => ({
          kind: eventKind[change.type],
          tier: 0,
          workerId,
          dpRank,
          eventId: BigInt(id),
          hasDomain: true,
        })),
      );
      for (const [i, event] of events.entries()) expect(batch.apply(i)).toBe(plain.apply(event));
    }
    expect(quick.counts().blocks).toBeGreaterThan(15);
    expect(quick.dump()).toEqual(plain.dump());
  });

  const hash = fc.bigInt(0n, 2n ** 64n - 1n);
  const change: fc.Arbitrary<RouterEvent['change']> = fc.oneof(
    fc.record({
      type: fc.constant('stored' as const),
      parent: fc.option(hash, { nil: undefined }),
      blocks: fc.array(
        fc
          .record({ blockHash: hash, tokensHash: hash, media: fc.constantFrom(undefined, [{ hash: 5n, offsets: [[1, 2] as const] }]) })
          .map(({ media, ...block }) => (media === undefined ? block : { ...block, media })),
        { maxLength: 8 },
      ),
    }),
    fc.record({ type: fc.constant('removed' as const), hashes: fc.array(hash, { maxLength: 8 }) }),
    fc.constant({ type: 'cleared' as const }),
  );
  const event: fc.Arbitrary<RouterEvent> = fc.record({
    workerId: hash,
    dpRank: fc.nat(0xffff_ffff),
    tier: fc.constantFrom('device' as const, 'host_pinned' as const, 'disk' as const, 'external' as const),
    domain: fc.constant('worker' as const),
    id: fc.nat(),
    change,
  });

  test('any events mean the same in MessagePack, in JSON and as objects', () => {
    const json = (text: unknown): string =>
      JSON.stringify(text, (_key, value) => (typeof value === 'bigint' ? (JSON as any).rawJSON(String(value)) : value));
    fc.assert(
      fc.property(fc.array(event, { maxLength: 6 }), (events) => {
        const open = (): EventIndex => new EventIndex({ ranks: new RankTable(), clock: () => 0 });
        const [packed, text, plain] = [open(), open(), open()];
        const outcomes = events.map((one) => plain.apply(one));
        const wire = events.map(({ workerId, dpRank, tier, id, change: what }) => ({
          worker_id: workerId,
          storage_tier: tier,
          event: {
            event_id: id,
            dp_rank: dpRank,
            data:
              what.type === 'cleared'
                ? 'cleared'
                : what.type === 'removed'
                  ? { removed: { block_hashes: what.hashes } }
                  : {
                      stored: {
                        blocks: what.blocks.map((block) => ({ block_hash: block.blockHash, tokens_hash: block.tokensHash })),
                        parent_hash: what.parent ?? null,
                      },
                    },
          },
        }));
        for (const [index, bytes, format] of [
          [packed, writeRouterEvents(events), 'msgpack'],
          [text, new TextEncoder().encode(json(wire)), 'json'],
        ] as const) {
          const batch = index.decode(bytes, format);
          expect(batch.length).toBe(events.length);
          expect(events.map((_, i) => batch.apply(i))).toEqual(outcomes);
          expect(index.dump()).toEqual(plain.dump());
        }
      }),
      { numRuns: 300 },
    );
  });

  test('one event that is wrong does not spoil the others of its message', () => {
    const good = {
      worker_id: 5,
      event: { event_id: 1, data: { stored: { parent_hash: null, blocks: [{ block_hash: 1, tokens_hash: 1 }] } }, dp_rank: 0 },
    };
    const bad = { worker_id: 5, event: { event_id: 2, data: { stored: { parent_hash: 'x', blocks: [] } }, dp_rank: 0 } };
    const index = new EventIndex({ ranks: new RankTable(), clock: () => 0 });
    const batch = index.decode(new TextEncoder().encode(JSON.stringify([good, bad, { ...good, worker_id: 6 }])), 'json');
    expect(Array.from({ length: batch.length }, (_, i) => batch.apply(i))).toEqual([0, 5, 0]);
    expect(index.counts()).toMatchObject({ blocks: 2, events: { ok: 2, malformed: 1 } });
  });
});
