import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { KvPublisher, KvRouter } from '@dynamo/kv-router';
import { DistributedRuntime, type EndpointPath } from '@dynamo/runtime';
import { encodeModel, mem, MemEvents, memEvents, MemStore } from '@dynamo/runtime/internal';
import { expect, test, vi } from 'vitest';
import { BlockManager } from './block-manager.ts';

const path: EndpointPath = 'demo.backend.generate';
const blockSize = 4;

test('a router credits what a worker holds in host memory and on disk, and forgets what it evicts', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'blocks-'));
  await using stack = new AsyncDisposableStack();
  stack.defer(() => rm(folder, { recursive: true }));
  const store = new MemStore();
  const hub = new MemEvents();
  const connect = async (): Promise<DistributedRuntime> =>
    stack.use(await DistributedRuntime.connect({ discovery: mem(store), eventPlane: memEvents(hub) }));

  /** A worker that holds two blocks of memory and many on disk. */
  async function worker(): Promise<{ id: bigint; manager: BlockManager }> {
    const runtime = await connect();
    const served = await runtime.serve(path, async function* () {
      yield { token_ids: [1] };
    });
    const { id, namespace, component, endpoint } = served.instance;
    await runtime.discovery.put(encodeModel({ id, namespace, component, endpoint, card: { display_name: 'm', runtime_config: {} } }));
    const events = await KvPublisher.open(runtime, path, { blockSize });
    const manager = stack.use(
      await BlockManager.open({
        shape: { layers: 1, pageSize: blockSize, innerDim: 2 },
        host: { blocks: 2 },
        disk: { blocks: 8, folder, filter: 'none' },
        events,
      }),
    );
    return { id, manager };
  }

  const tokenIds = Array.from({ length: 16 }, (_, at) => at + 1);
  const first = await worker();
  const second = await worker();
  const router = stack.use(await KvRouter.open(await connect(), path, { blockSize }));
  await router.ready();
  const held = async (): Promise<Record<string, unknown>> => {
    const receipt = await router.explain({ model: 'm', tokenIds });
    return Object.fromEntries(
      receipt.candidates.map(({ workerId, overlap }) => [String(workerId), { host: overlap.host, disk: overlap.disk, device: overlap.device }]),
    );
  };
  const nothing = { host: 0, disk: 0, device: 0 };
  await vi.waitFor(async () => expect(await held()).toEqual({ [`${first.id}`]: nothing, [`${second.id}`]: nothing }), 20_000);

  const contents = second.manager.tokenBlocks(tokenIds);
  for (const pair of [contents.slice(0, 2), contents.slice(2, 4)]) {
    const list = await second.manager.allocateHostBlocks(2);
    for (const [at, block] of [...list].entries()) block.applyTokenBlock(pair[at] as (typeof pair)[number]);
    second.manager.host?.register(list)[Symbol.dispose]();
    await second.manager.settled();
  }
  // The first two blocks left the host when the others came; only the disk has the start of the prompt.
  await vi.waitFor(async () => expect(await held()).toEqual({ [`${first.id}`]: nothing, [`${second.id}`]: { host: 0, disk: 4, device: 0 } }), 20_000);
  using onDisk = second.manager.disk?.match(contents.slice(0, 2).map(({ sequenceHash }) => sequenceHash));
  if (onDisk === undefined) throw new Error('no disk tier');
  (await second.manager.onboard(onDisk))[Symbol.dispose]();
  await vi.waitFor(async () => expect(await held()).toEqual({ [`${first.id}`]: nothing, [`${second.id}`]: { host: 2, disk: 2, device: 0 } }), 20_000);
  const { winner } = await router.explain({ model: 'm', tokenIds });
  expect(winner.workerId).toBe(second.id);

  onDisk[Symbol.dispose]();
  await second.manager[Symbol.asyncDispose]();
  await vi.waitFor(async () => expect(await held()).toEqual({ [`${first.id}`]: nothing, [`${second.id}`]: nothing }), 20_000);
});
