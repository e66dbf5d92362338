import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Client, DistributedRuntime, DynamoError } from '@dynamo/runtime';
import { collect, decodeError } from '@dynamo/runtime/internal';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { callFromPython, findPython, scene, startPeer } from './python.ts';

const found = findPython();
const python = 'path' in found ? found.path : '';
if ('missing' in found) console.warn(`skipped: ${found.missing}`);

interface ErrorRow {
  request: { op: string; exc: string; code?: number; msg: string };
  items: [{ event: string; error: Record<string, unknown> }];
}
/** More Python exceptions, and HttpError with each code that has a class of its own (spec runtime-wire 9.2). */
const rows = JSON.parse(readFileSync(new URL('../../vectors/runtime/error-envelopes-2.json', import.meta.url), 'utf8')) as ErrorRow[];
const nameOf = ({ request }: ErrorRow): string => `${request.exc} ${request.code ?? ''}`;

describe.skipIf('missing' in found)('errors and sizes against the real Python', () => {
  const stack = new AsyncDisposableStack();
  let env: Record<string, string>;
  let root: string;
  let real: Client<unknown, unknown>;
  beforeAll(async () => {
    ({ env, root } = stack.use(await scene()));
    Object.assign(process.env, env, { DYN_RUNTIME_INHIBITED_DURATION_SECS: '0' });
    stack.use(startPeer(python, 'py_worker.py', { args: [], env }));
    const runtime = stack.use(await DistributedRuntime.connect());
    real = await runtime.client('demo.backend.generate');
    await runtime.serve<Record<string, unknown>, unknown>('demo.ours.generate', async function* (request) {
      const { size, error, text } = request as { size?: number; error?: Record<string, unknown>; text?: string };
      if (error !== undefined) {
        const { code, message, origin, data } = decodeError(error);
        throw new DynamoError(code, message, { origin, data });
      }
      yield size === undefined ? { length: text?.length } : { text: 'x'.repeat(size) };
    });
    await real.ready();
  });
  afterAll(() => stack.disposeAsync());
  const call = (request: string, ...more: string[]): Promise<Record<string, unknown>[]> =>
    callFromPython(python, { args: ['demo.ours.generate', 'round_robin', request, ...more], env });

  test('a request of 5 MiB reaches us, an item of 40 MiB reaches Python', async () => {
    const file = join(root, 'request.json');
    await writeFile(file, JSON.stringify({ text: 'x'.repeat(5 << 20) }));
    expect(await call(`@${file}`)).toContainEqual({ call: 0, item: { length: 5 << 20 } });
    const lines = await call(JSON.stringify({ size: 40 << 20 }));
    expect(lines.find((line) => 'item' in line)?.['item']).toBe(`(len ${(40 << 20) + "{'text': ''}".length})`);
    expect(lines.at(-1)).toMatchObject({ end: 'ok', items: 1 });
  });

  test.each(rows.map((row) => [nameOf(row), row] as const))('%s reads here as Python wrote it', async (_name, row) => {
    const [{ error: wire }] = row.items;
    const thrown = await collect(real.generate(row.request)).then(
      () => undefined,
      (error: unknown) => error,
    );
    const { code, origin, data } = decodeError(wire);
    expect(thrown).toMatchObject({ name: 'DynamoError', code, origin, data, message: wire['diagnostic'] });
  });

  test('every row reads there as when Python had raised it', async () => {
    const requests = rows.map((row) => ({ error: row.items[0].error }));
    const ends = (await call(JSON.stringify(requests), '--batch')).filter((line) => 'end' in line);
    expect(ends.map((line) => line['msg'])).toEqual(
      rows.map(({ items: [{ error }] }) => `${String(error['class'])}: ${String(error['diagnostic'])}`),
    );
  });
});
