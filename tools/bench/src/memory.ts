import { DistributedRuntime } from '@dynamo/runtime';

/**
 * Sends many calls to an endpoint in this process and compares the heap before and after, each behind a forced collection.
 *
 * Needs `NODE_OPTIONS=--expose-gc`. The first tenth warms up and is not counted.
 */
export async function memory(options: { calls: number }): Promise<void> {
  const collectGarbage = globalThis.gc;
  if (collectGarbage === undefined) throw new Error('run with NODE_OPTIONS=--expose-gc');
  await using runtime = await DistributedRuntime.connect({ discovery: 'mem' });
  await using _served = await runtime.serve('bench.memory.generate', async function* (request: { n: number }) {
    for (let i = 0; i < request.n; i++) yield { i };
  });
  await using client = await runtime.client<{ n: number }, { i: number }>('bench.memory.generate');
  await client.ready();
  const heap = async (): Promise<number> => {
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    await collectGarbage({ execution: 'async', type: 'major' });
    return process.memoryUsage().heapUsed;
  };
  const lane = async (calls: number): Promise<void> => {
    for (let call = 0; call < calls; call++) for await (const _ of client.generate({ n: 16 }));
  };
  const send = (calls: number): Promise<void[]> => Promise.all(Array.from({ length: 16 }, () => lane(calls / 16)));
  await send(options.calls / 10);
  const before = await heap();
  await send(options.calls);
  const after = await heap();
  console.log(
    `heap before ${before} and after ${after} bytes: ${((after - before) / options.calls).toFixed(1)} bytes a call over ${options.calls} calls`,
  );
}
