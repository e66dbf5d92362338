import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Client, DistributedRuntime, DynamoError } from '@dynamo/runtime';
import { collect, decodeError } from '@dynamo/runtime/internal';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { callFromPython, findPython, scene, startPeer } from './python.ts';

const found = findPython();
const python = 'path' in found ? found.path : '';
if ('missing' in found) console.warn(`skipped: ${found.missing}`);

interface ErrorRow {
  name: string;
  request: Record<string, unknown>;
  frames: string[];
}
const rows = (JSON.parse(readFileSync(new URL('../../vectors/runtime/error-envelopes.json', import.meta.url), 'utf8')) as ErrorRow[]).filter(
  (row) => row.name.startsWith('raise') && row.frames.some((frame) => frame.includes('"error"')),
);
const wireError = (row: ErrorRow): Record<string, unknown> => JSON.parse(row.frames.find((frame) => frame.includes('"error"')) ?? '{}').data.error;

describe.skipIf('missing' in found)('our client, the real Python worker', () => {
  const stack = new AsyncDisposableStack();
  let client: Client<Record<string, unknown>, Record<string, unknown>>;
  beforeAll(async () => {
    const { env } = stack.use(await scene());
    Object.assign(process.env, env, { DYN_RUNTIME_INHIBITED_DURATION_SECS: '0' });
    stack.use(startPeer(python, 'py_worker.py', { args: [], env }));
    const runtime = stack.use(await DistributedRuntime.connect());
    client = await runtime.client('demo.backend.generate');
    await client.ready();
  });
  afterAll(() => stack.disposeAsync());

  test('unary and streams, ids and metadata', async () => {
    expect(await collect(client.generate({ op: 'echo', x: [1, null, 'é'] }))).toEqual([{ echo: { op: 'echo', x: [1, null, 'é'] } }]);
    expect(await collect(client.generate({ op: 'count', n: 100 }))).toEqual(Array.from({ length: 100 }, (_, i) => ({ i })));
    const [context] = await collect(client.generate({ op: 'ctx' }, { id: 'my-ctx', metadata: { a: 'b' } }));
    expect(context).toMatchObject({ id: 'my-ctx', metadata: { a: 'b' } });
    const [types] = await collect(client.generate({ op: 'types' }));
    expect(types).toMatchObject({
      int: 1,
      neg: -5,
      big: 9007199254740993n,
      u64: 18446744073709551615n,
      f: 1.5,
      fi: 2,
      t: true,
      n: null,
      s: 'hé中😀',
    });
  });

  test('a request of 5 MiB and an item of 40 MiB', async () => {
    const [echo] = await collect(client.generate({ op: 'echo', s: 'x'.repeat(5 << 20) }));
    expect((echo?.['echo'] as { s: string }).s).toHaveLength(5 << 20);
    const [big] = await collect(client.generate({ op: 'big', size: 40 << 20 }));
    expect(big?.['s']).toHaveLength(40 << 20);
  });

  test('fifty calls at once', async () => {
    const all = await Promise.all(Array.from({ length: 50 }, (_, n) => collect(client.generate({ op: 'count', n: n + 1, delay: 0.001 }))));
    expect(all.map((items) => items.length)).toEqual(Array.from({ length: 50 }, (_, n) => n + 1));
  });

  test.each(rows.map((row) => [row.name, row] as const))('error row %s', async (_name, row) => {
    const wire = wireError(row);
    const error = await collect(client.generate(row.request)).then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    const { code, origin, data } = decodeError(wire);
    expect(error).toMatchObject({ name: 'DynamoError', code, origin, data, message: wire['diagnostic'] });
  });
});

describe.skipIf('missing' in found)('the real Python client, our worker', () => {
  const stack = new AsyncDisposableStack();
  const cancelled: unknown[] = [];
  const drops: (() => void)[] = [];
  let env: Record<string, string>;
  let id: bigint;
  beforeAll(async () => {
    ({ env } = stack.use(await scene()));
    Object.assign(process.env, env);
    const runtime = stack.use(await DistributedRuntime.connect());
    const served = await runtime.serve<Record<string, never>, unknown>('demo.ours.generate', async function* (request, context) {
      const { n, delay, code, reason, message, origin } = request as { n?: number; delay?: number } & Record<string, string>;
      context.signal.addEventListener('abort', () => cancelled.push(context.signal.reason), { once: true });
      for (let i = 0; i < (n ?? 0); i++) {
        if (context.signal.aborted) return drops.forEach((drop) => drop());
        yield { i, id: context.id, metadata: context.metadata };
        await sleep(delay ?? 0);
      }
      if (code !== undefined) throw new DynamoError(code as 'unknown', message ?? '', { origin: origin as 'backend', data: { reason } });
      if (n === undefined) yield { echo: request };
    });
    id = served.instance.id;
  });
  afterAll(() => stack.disposeAsync());
  const call = (...args: string[]): Promise<Record<string, unknown>[]> => callFromPython(python, { args: ['demo.ours.generate', ...args], env });

  test.each(['random', 'round_robin', 'direct', 'generate'])('%s', async (mode) => {
    const lines = await call(mode, '{"n":3}', '--ctx', 'my-ctx', '--meta', '{"a":"b"}');
    const items = lines.flatMap((line) => ('item' in line ? [line['item']] : []));
    expect(items).toEqual([0, 1, 2].map((i) => ({ i, id: 'my-ctx', metadata: { a: 'b' } })));
    expect(lines.at(-1)).toMatchObject({ end: 'ok', items: 3 });
    expect(readExact(lines[0])).toBe(true);
  });
  const readExact = (line: Record<string, unknown> | undefined): boolean => String((line?.['instances'] as string[][])[0]?.[0]).endsWith(String(id));

  test('fifty at once, and stop and drop reach the handler', async () => {
    const lines = await call('round_robin', '{"n":5}', '--count', '50', '--concurrency', '50');
    expect(lines.filter((line) => line['end'] === 'ok' && line['items'] === 5)).toHaveLength(50);
    expect(cancelled).toEqual([]);
    expect((await call('round_robin', '{"n":1000,"delay":10}', '--stop-after', '3')).at(-1)).toMatchObject({ end: 'ok' });
    await expect.poll(() => cancelled.length).toBe(1);
    expect(cancelled[0]).toMatchObject({ code: 'cancelled', data: { kind: 'stop' } });
    expect((await call('round_robin', '{"n":1000,"delay":10}', '--drop-after', '3')).at(-1)).toMatchObject({ end: 'ok' });
    await expect.poll(() => cancelled.length).toBe(2);
  });

  test('every error row reads there as when Python had raised it', async () => {
    const requests = rows.map((row) => {
      const { code, message, origin, data } = decodeError(wireError(row));
      return { n: 0, code, message, origin, reason: data['reason'] };
    });
    const lines = await call('direct', JSON.stringify(requests), '--batch');
    const ends = lines.filter((line) => 'end' in line);
    expect(ends).toHaveLength(rows.length);
    for (const [index, row] of rows.entries()) {
      const wire = wireError(row);
      expect(ends[index], row.name).toMatchObject({ end: 'error', msg: expect.stringContaining(String(wire['diagnostic'])) });
      const shown = `${String(wire['class'])}: ${String(wire['diagnostic'])}`;
      if (wire['public'] === undefined) expect(ends[index], row.name).toMatchObject({ msg: shown });
    }
  });
});
