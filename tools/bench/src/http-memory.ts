import { Llm } from '@dynamo/llm';
import { DistributedRuntime } from '@dynamo/runtime';
import { Agent, request } from 'undici';

/**
 * Sends many chat requests through a frontend and a worker in this process and compares the heap before and after, each
 * behind a forced collection.
 *
 * Needs `NODE_OPTIONS=--expose-gc`. One in ten clients leaves in the middle of its stream. The first tenth of the requests
 * warms up and is not counted.
 */
export async function httpMemory(options: { model: string; requests: number }): Promise<void> {
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
  const agent = new Agent({ connections: 16 });
  while (!frontend.models.includes('bench')) await new Promise((resolve) => setTimeout(resolve, 20));
  let sent = 0;
  const send = async (): Promise<void> => {
    const number = sent++;
    const body = JSON.stringify({ model: 'bench', messages: [{ role: 'user', content: `hello ${number}` }], stream: number % 2 === 0 });
    const headers = { 'content-type': 'application/json' };
    const answer = await request(`${frontend.address}/v1/chat/completions`, { method: 'POST', headers, body, dispatcher: agent });
    if (number % 10 === 0) {
      answer.body.on('error', () => {});
      answer.body.destroy();
      return;
    }
    const text = await answer.body.text();
    if (answer.statusCode !== 200 || !text.includes(number % 2 === 0 ? '[DONE]' : 'usage')) throw new Error(`${answer.statusCode} ${text}`);
  };
  const lane = async (count: number): Promise<void> => {
    for (let i = 0; i < count; i++) await send();
  };
  const round = (count: number): Promise<void[]> => Promise.all(Array.from({ length: 16 }, () => lane(count / 16)));
  const heap = async (): Promise<number> => {
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    await collectGarbage({ execution: 'async', type: 'major' });
    return process.memoryUsage().heapUsed;
  };
  await round(options.requests / 10);
  const before = await heap();
  await round(options.requests);
  const after = await heap();
  const each = ((after - before) / options.requests).toFixed(1);
  console.log(`heap before ${before} and after ${after} bytes: ${each} bytes a request over ${options.requests} requests`);
  await agent.close();
}
