import { DistributedRuntime } from '@dynamo/runtime';
import { encodeModel } from '@dynamo/runtime/internal';
import { expect, test, vi } from 'vitest';
import { Llm } from '../llm.ts';
import { cardFromDirectory } from '../model/card.ts';
import { scriptedWorker, tinyModel } from '../testing/scripted-worker.ts';

test('a request never reaches a worker of another model on the same endpoint', async () => {
  await using runtime = await DistributedRuntime.connect({ discovery: 'mem' });
  await using worker = await scriptedWorker(runtime, 'one');
  worker.script = [{ token_ids: [104], finish_reason: 'stop' }];
  // A card whose worker has left: its own instance is gone, and only that of the other model serves the endpoint.
  const card = { ...(await cardFromDirectory(tinyModel, { name: 'two' })) };
  await using _orphan = await runtime.discovery.put(encodeModel({ id: 7n, namespace: 'h3', component: 'backend', endpoint: 'one', card }));
  await using frontend = await new Llm(runtime).frontend({ http: { host: '127.0.0.1', port: 0 } });
  await vi.waitFor(() => expect(frontend.models.toSorted()).toEqual(['one', 'two']), 10_000);
  const ask = async (model: string): Promise<[number, unknown]> => {
    const response = await fetch(`${frontend.address}/v1/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model, prompt: 'x' }),
    });
    return [response.status, await response.json()];
  };
  expect(await ask('one')).toMatchObject([200, { model: 'one' }]);
  expect(await ask('two')).toMatchObject([503, { message: expect.stringContaining('Model `two` is not ready to serve requests yet') }]);
  expect(worker.received).toHaveLength(1);
});
