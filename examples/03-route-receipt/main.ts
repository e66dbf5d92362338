// Two workers with a KV cache, one router, and why each request goes where it goes.
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { KvPublisher, KvRouter, type RouteReceipt } from '@dynamo/kv-router';
import { DistributedRuntime } from '@dynamo/runtime';

const path = 'demo.backend.generate';
const blockSize = 16;
// Processes on one machine find each other in a folder; here all are in one process.
const folder = await mkdtemp(join(tmpdir(), 'route-receipt-'));
process.env['DYN_FILE_KV'] = folder;
await using stack = new AsyncDisposableStack();
stack.defer(() => rm(folder, { recursive: true }));

/** A worker that caches every prompt that it reads, and tells routers so. */
async function startWorker(): Promise<bigint> {
  const runtime = stack.use(await DistributedRuntime.connect({ discovery: 'file' }));
  const served = await runtime.serve<{ token_ids: number[] }, unknown>(path, async function* ({ token_ids: tokenIds }) {
    const blocks = Math.floor(tokenIds.length / blockSize);
    publisher.stored({ tokenIds, hashes: Array.from({ length: blocks }, (_, block) => BigInt(tokenIds[block * blockSize] as number)) });
    publisher.load({ kvUsedBlocks: blocks });
    yield { token_ids: [42], finish_reason: 'stop' };
  });
  const publisher = stack.use(await KvPublisher.open(runtime, path, { blockSize }));
  return served.instance.id;
}

const [first, second] = [await startWorker(), await startWorker()];
const receipts: RouteReceipt[] = [];
const router = stack.use(
  await KvRouter.open(stack.use(await DistributedRuntime.connect({ discovery: 'file' })), path, {
    blockSize,
    onRoute: (receipt) => void receipts.push(receipt),
  }),
);
await router.ready({ min: 2 });

const prompt = Array.from({ length: 160 }, (_, token) => token + 1);
const request = { model: 'demo', tokenIds: prompt };

// The first worker reads the prompt: its cache then has ten blocks, and the router hears of it.
for await (const chunk of router.generate(request, { instance: first })) assert.deepEqual(chunk.tokenIds, [42]);
while ((await router.best(request)).overlapBlocks < 10) await new Promise((resolve) => setTimeout(resolve, 10));

// `explain` answers without sending.
const before = await router.explain(request);
assert.equal(before.why, 'overlap');
assert.equal(before.winner.workerId, first);
const of = (receipt: RouteReceipt, worker: bigint) => receipt.candidates.find(({ workerId }) => workerId === worker);
assert.deepEqual([of(before, first)?.overlap.device, of(before, second)?.overlap.device], [10, 0]);
assert.ok((of(before, first)?.cost ?? Infinity) < (of(before, second)?.cost ?? 0));
assert.equal(of(before, first)?.events?.state, 'live');

// The same prompt again, while the first worker is busy with forty blocks of another one: load wins over the cache.
{
  using _busy = await router.reserve({ model: 'demo', tokenIds: Array.from({ length: 640 }, () => 7), routing: { backend_instance_id: first } });
  const after = await router.explain(request);
  assert.equal(after.winner.workerId, second);
  assert.deepEqual(after.bestOverlap, { workerId: first, dpRank: 0, reason: 'load' });
}

// Every request that was sent has left its receipt with the listener.
for await (const chunk of router.generate(request)) assert.deepEqual(chunk.tokenIds, [42]);
assert.deepEqual(
  receipts.map(({ why }) => why),
  ['pinned', 'pinned', 'overlap'],
);
for (const { why, winner, candidates } of receipts) {
  const place = winner.workerId === first ? 'first' : 'second';
  console.log(`${why}: the ${place} worker of ${candidates.length}, at a cost of ${winner.cost}`);
}
