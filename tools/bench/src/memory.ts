import { Llm } from '@dynamo/llm';
import { DistributedRuntime } from '@dynamo/runtime';
import { request } from 'undici';

/**
 * Sends many requests through a frontend and a worker in this process and compares the heap before and after.
 *
 * Run with `--expose-gc`; the first tenth is the warm-up. Prints bytes; a flat heap is the expected result.
 */
export async function memory(options: { model: string; requests: number }): Promise<void> {
  const collectGarbage = globalThis.gc;
  if (collectGarbage === undefined) throw new Error('run with NODE_OPTIONS=--expose-gc');
  await using runtime = await DistributedRuntime.connect({ discovery: 'mem' });
  const llm = new Llm(runtime);
  await using _served = await llm.serve({
    endpoint: 'bench.backend.generate',
    model: options.model,
    name: 'bench',
    engine: async function* () {
      for (let i = 0; i < 16; i++) yield { tokenIds: [104] };
      yield { tokenIds: [], finishReason: 'stop' };
    },
  });
  await using frontend = await llm.frontend({ http: { host: '127.0.0.1', port: 0 } });
  const body = JSON.stringify({ model: 'bench', messages: [{ role: 'user', content: 'hello' }], stream: true });
  const send = async (): Promise<void> => {
    const answer = await request(`${frontend.address}/v1/chat/completions`, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
    const text = await answer.body.text();
    if (answer.statusCode !== 200 || !text.includes('[DONE]')) throw new Error(`${answer.statusCode} ${text}`);
  };
  const heap = async (): Promise<number> => {
    await new Promise((resolve) => setTimeout(resolve, 500));
    collectGarbage();
    return process.memoryUsage().heapUsed;
  };
  const round = async (count: number): Promise<void> => {
    const lane = async (): Promise<void> => {
      for (let i = 0; i < count / 16; i++) await send();
    };
    await Promise.all(Array.from({ length: 16 }, lane));
  };
  while (!frontend.models.includes('bench')) await new Promise((resolve) => setTimeout(resolve, 20));
  await round(options.requests / 10);
  const before = await heap();
  await round(options.requests);
  const after = await heap();
  console.log(`heap before ${before}, after ${after}, growth ${((after - before) / options.requests).toFixed(1)} bytes a request over ${options.requests} requests`);
}
