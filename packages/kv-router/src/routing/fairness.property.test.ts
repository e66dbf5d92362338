import { collect } from '@dynamo/runtime/internal';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Cluster, prompt } from '../testing/cluster.ts';

/** Every prompt begins with these tokens. */
const system = prompt(0, 128);

test(
  'when a worker restarts cold under a shared system prompt, nobody gets far more than a share of the requests',
  { timeout: 120_000 },
  async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 8, max: 60 }), fc.integer({ min: 24, max: 48 }), async (ownTokens, atOnce) => {
        await using cluster = new Cluster();
        const workers = await Promise.all(Array.from({ length: 8 }, () => cluster.worker({ delayMs: 4 })));
        const router = await cluster.router({ workers: 8 });
        let next = 1;
        const send = async (count: number): Promise<void> => {
          const last = next + count;
          const client = async (): Promise<void> => {
            while (next < last) {
              const tokenIds = [...system, ...prompt(1_000 * next++, ownTokens)];
              await collect(router.generate({ model: 'm', tokenIds, stop: { maxTokens: 4 } }));
            }
          };
          await Promise.all(Array.from({ length: atOnce }, client));
        };
        await send(200);
        await workers[0]?.runtime[Symbol.asyncDispose]();
        workers[0] = await cluster.worker({ delayMs: 4 });
        await expect.poll(() => router.instances.map(({ id }) => id)).toContain(workers[0].id);
        const before = workers.map(({ got }) => got.length);
        await send(240);
        const shares = workers.map(({ got }, at) => got.length - (before[at] ?? 0));
        expect(shares.reduce((sum, share) => sum + share, 0)).toBe(240);
        expect(Math.max(...shares) / 30).toBeLessThan(1.5);
      }),
      { numRuns: 4 },
    );
  },
);
