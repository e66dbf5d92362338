// A router that goes leaves behind what it knows; the next one begins with it, and a third asks the second.
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { KvRouter, type KvRouterOptions } from '@dynamo/kv-router';
import { DistributedRuntime } from '@dynamo/runtime';

const path = 'demo.backend.generate';
const folder = await mkdtemp(join(tmpdir(), 'warm-start-'));
process.env['DYN_FILE_KV'] = join(folder, 'discovery');
await using stack = new AsyncDisposableStack();
stack.defer(() => rm(folder, { recursive: true }));
const connect = async (): Promise<DistributedRuntime> => stack.use(await DistributedRuntime.connect({ discovery: 'file' }));

// Three workers whose engines tell nothing of their caches: a router knows only where it has sent what.
for (let worker = 0; worker < 3; worker++) {
  const runtime = await connect();
  await runtime.serve(path, async function* () {
    yield { token_ids: [1], finish_reason: 'stop' };
  });
}

const open = async (warmStart?: KvRouterOptions['warmStart']): Promise<KvRouter> => {
  const router = await KvRouter.open(await connect(), path, {
    blockSize: 16,
    index: 'approximate',
    ...(warmStart === undefined ? {} : { warmStart }),
  });
  await router.ready({ min: 3 });
  return router;
};
const prompts = Array.from({ length: 9 }, (_, at) => Array.from({ length: 64 }, (_unused, token) => at * 1_000 + token));

/** How many blocks of the prompts a router knows in caches, and where it would send each. */
async function look(router: KvRouter): Promise<{ blocks: number; places: bigint[] }> {
  const found = await Promise.all(prompts.map((tokenIds) => router.best({ model: 'demo', tokenIds })));
  return { blocks: found.reduce((sum, { overlapBlocks }) => sum + overlapBlocks, 0), places: found.map(({ instance }) => instance) };
}

const snapshots = join(folder, 'snapshots');
const first = await open({ folder: snapshots });
for (const tokenIds of prompts) for await (const chunk of first.generate({ model: 'demo', tokenIds })) assert.deepEqual(chunk.tokenIds, [1]);
const known = await look(first);
assert.equal(known.blocks, 36);
await first[Symbol.asyncDispose]();

await using cold = await open();
assert.equal((await look(cold)).blocks, 0);

// From the file that the first one has left.
await using second = await open({ folder: snapshots, peers: true });
assert.deepEqual(await look(second), known);

// From the second one, through discovery.
await using third = await open({ peers: true });
assert.deepEqual(await look(third), known);
console.log(`cold: ${(await look(cold)).blocks} blocks known, from a snapshot: ${known.blocks}, from a peer: ${(await look(third)).blocks}`);
