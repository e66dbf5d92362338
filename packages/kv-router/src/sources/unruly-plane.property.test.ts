import { DistributedRuntime } from '@dynamo/runtime';
import { type EventChange, type EventPlane, mem, memEvents, parseEndpointPath } from '@dynamo/runtime/internal';
import fc from 'fast-check';
import { expect, test, vi } from 'vitest';
import { KvRouting } from '../routing/kv-routing.ts';
import { seeded } from '../select/testing/fairness.ts';
import { Cluster, prompt } from '../testing/cluster.ts';
import { normalDump } from '../testing/normal-dump.ts';

/** A plane whose subscriber loses, repeats, swaps and delays messages, until it is told to behave. */
function unruly(inner: EventPlane, random: () => number): EventPlane & { behaves: boolean } {
  return {
    behaves: false,
    counts: inner.counts,
    publish: (scope, topic) => inner.publish(scope, topic),
    async *subscribe(scope, topic, options): AsyncGenerator<EventChange> {
      const late: EventChange[] = [];
      for await (const change of inner.subscribe(scope, topic, options)) {
        if (change.type !== 'event' || this.behaves) {
          yield* late.splice(0);
          yield change;
          continue;
        }
        const fate = random();
        if (fate < 0.15) continue;
        if (fate < 0.3) late.push(change);
        else yield change;
        if (fate > 0.9) yield change;
        if (random() < 0.4) yield* late.splice(0).toReversed();
      }
    },
    [Symbol.asyncDispose]: () => inner[Symbol.asyncDispose](),
  };
}

const changes = fc.array(
  fc.tuple(fc.nat(2), fc.constantFrom('store', 'store', 'store', 'remove', 'restart'), fc.nat(4), fc.integer({ min: 1, max: 6 })),
  { maxLength: 50 },
);

test('a whole router behind an unruly plane holds what its workers hold, once that is quiet', { timeout: 60_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(changes, fc.nat(1_000_000), async (script, seed) => {
      await using cluster = new Cluster();
      const workers = [await cluster.worker(), await cluster.worker(), await cluster.worker()];
      const plane = unruly(memEvents(cluster.hub), seeded(seed));
      await using runtime = await DistributedRuntime.connect({ discovery: mem(cluster.store), eventPlane: plane });
      const name = parseEndpointPath(cluster.path);
      await using router = await KvRouting.open(runtime, name, { blockSize: cluster.blockSize });
      for (const [at, kind, family, depth] of script) {
        const publisher = workers[at]?.publisher;
        const hashes = Array.from({ length: depth }, (_, block) => BigInt(family * 100 + block + 1));
        if (kind === 'store') publisher?.stored({ tokenIds: prompt(family * 1_000, depth * 4), hashes });
        else if (kind === 'remove') publisher?.removed([hashes.at(-1) as bigint]);
        else {
          await workers[at]?.runtime[Symbol.asyncDispose]();
          workers[at] = await cluster.worker();
        }
        if (depth > 4) await new Promise((resolve) => setImmediate(resolve));
      }
      plane.behaves = true;
      for (const { publisher } of workers) publisher?.stored({ tokenIds: prompt(90_000, 4), hashes: [9_000n] });
      await using cold = await KvRouting.open(await cluster.connect(), name, { blockSize: cluster.blockSize });
      await vi.waitFor(
        () => {
          expect([...router.sources(), ...cold.sources()].map(({ state }) => state)).toEqual(Array.from({ length: 6 }, () => 'live'));
          expect(normalDump(router.index.dump())).toEqual(normalDump(cold.index.dump()));
        },
        { timeout: 8_000 },
      );
    }),
    { numRuns: 20 },
  );
});
