import { createServer } from 'node:net';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import { DistributedRuntime } from '../runtime.ts';

test('health, engine routes and refusals are those of the real status server', async () => {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as AddressInfo;
  probe.close();
  await once(probe, 'close');
  await using runtime = await DistributedRuntime.connect({ discovery: 'mem', system: { port, host: '127.0.0.1' } });
  const get = async (path: string, init?: RequestInit): Promise<[number, string]> => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`, init);
    return [response.status, await response.text()];
  };
  expect(await get('/health')).toEqual([
    503,
    expect.stringMatching(/^\{"status":"notready","uptime":\{"secs":\d+,"nanos":\d+\},"endpoints":\{\}\}$/),
  ]);
  await using _served = await runtime.serve('demo.backend.generate', async function* () {});
  runtime.setReady(true);
  expect(await get('/live')).toEqual([200, expect.stringContaining('"endpoints":{"generate":"ready"}')]);
  using _route = runtime.route('demo', async (body) => {
    if ((body as { fail?: boolean }).fail) throw new Error('route failed');
    return { ok: true, body };
  });
  expect(await get('/engine/demo', { method: 'POST', body: '{"a":1}' })).toEqual([200, '{"ok":true,"body":{"a":1}}']);
  expect(await get('/engine/demo')).toEqual([200, '{"ok":true,"body":{}}']);
  expect(await get('/engine/demo', { method: 'POST', body: '{' })).toEqual([400, expect.stringContaining('"error":"Invalid JSON"')]);
  expect(await get('/engine/demo', { method: 'POST', body: '{"fail":true}' })).toEqual([500, expect.stringContaining('"error":"Handler error"')]);
  expect(await get('/engine/nope')).toEqual([404, '{"error":"Route not found","message":"Route /engine/nope not found"}']);
  expect(await get('/metadata')).toEqual([404, 'Discovery metadata not available']);
  expect(await get('/nothing')).toEqual([404, 'Route not found']);
});
