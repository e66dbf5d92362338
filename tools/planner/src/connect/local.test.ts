import { silentLogger } from '@dynamo/runtime/internal';
import { expect, test } from 'vitest';
import { LocalConnector } from './local.ts';

const sleeper = [process.execPath, '-e', 'setInterval(() => {}, 1000)'];

test('processes follow the counts, one that ends is started again, and bad counts change nothing', async () => {
  await using connector = new LocalConnector({ commands: { decode: sleeper }, log: silentLogger });
  await connector.scale({ prefill: null, decode: 3 });
  expect(connector.running('decode')).toBe(3);
  for (const counts of [
    { prefill: 1, decode: 1 },
    { prefill: null, decode: -1 },
    { prefill: null, decode: 1.5 },
  ])
    await expect(connector.scale(counts)).rejects.toMatchObject({ code: 'invalid_argument' });
  expect(connector.wanted).toEqual({ prefill: null, decode: 3 });
  await connector.scale({ prefill: 0, decode: 1 });
  expect([connector.running('prefill'), connector.running('decode')]).toEqual([0, 1]);
});

test('a worker that ends by itself is started again by the next decision; a program that there is not ends nothing', async () => {
  await using connector = new LocalConnector({
    commands: { decode: [process.execPath, '-e', ''], prefill: ['/no/such/program'] },
    log: silentLogger,
  });
  await connector.scale({ prefill: 1, decode: 2 });
  await expect.poll(() => connector.running('decode') + connector.running('prefill'), { timeout: 30_000 }).toBe(0);
  await connector.scale({ prefill: null, decode: null });
  expect(connector.running('decode')).toBe(2);
});

test('what does not end when asked is killed, and a closed connector starts nothing', async () => {
  const deaf = [process.execPath, '-e', "process.on('SIGTERM', () => {}); setInterval(() => {}, 1000)"];
  const connector = new LocalConnector({ commands: { decode: deaf }, log: silentLogger, drainMs: 50 });
  await connector.scale({ prefill: null, decode: 1 });
  await connector[Symbol.asyncDispose]();
  expect(connector.running('decode')).toBe(0);
  await expect(connector.scale({ prefill: null, decode: 1 })).rejects.toMatchObject({ code: 'unavailable' });
});
