import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { expect, test } from 'vitest';
import { silentLogger } from '../../log.ts';
import { file } from './index.ts';

/** A process of its own that opens the folder and runs `body`; its lines, and the end of it. */
function other(root: string, body: string) {
  const source = `
    import { file } from ${JSON.stringify(new URL('./index.ts', import.meta.url).href)};
    const silent = { debug() {}, info() {}, warn() {}, error() {} };
    await using discovery = await file({ root: ${JSON.stringify(root)}, log: silent });
    const record = (key) => ({ bucket: 'v1/instances', key, value: JSON.stringify({ type: 'Endpoint', key, pid: process.pid }) });
    const tell = (line) => console.log(line);
    const goOn = () => new Promise((resolve) => process.stdin.once('data', resolve));
    ${body}
    process.stdin.destroy();`;
  const child = spawn(process.execPath, ['--conditions=@dynamo/source', '--input-type=module', '--eval', source], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const line = async (): Promise<string> => String((await lines.next()).value);
  return { child, line, goOn: () => child.stdin.write('\n'), [Symbol.asyncDispose]: () => ended(child) };
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return;
  child.kill('SIGKILL');
  await once(child, 'exit');
}

async function folder(): Promise<{ root: string } & AsyncDisposable> {
  const root = await mkdtemp(join(tmpdir(), 'dynamo-stress-'));
  return { root, [Symbol.asyncDispose]: () => rm(root, { recursive: true, force: true }) };
}

test('two processes, two hundred instances that come and go: a watch ends with exactly those that stay', async () => {
  await using at = await folder();
  await using discovery = await file({ root: at.root, log: silentLogger });
  const seen = new Map<string, string>();
  const stop = new AbortController();
  const watching = (async () => {
    for await (const change of discovery.watch({ bucket: 'v1/instances' }, { signal: stop.signal })) {
      if (change.type === 'snapshot') for (const { key, value } of change.records) seen.set(key, value);
      else if (change.type === 'put') seen.set(change.record.key, change.record.value);
      else expect(seen.delete(change.key), `${change.key} went and had not come`).toBe(true);
    }
  })();
  // Each instance comes and goes up to three times; those with an even number stay.
  const churn = (name: string): string => `
    const coming = async (i) => {
      for (let round = 0; round < 1 + (i % 3); round++) {
        const put = await discovery.put(record('n/${name}/e/' + i));
        await new Promise((resolve) => setTimeout(resolve, (i * 7) % 13));
        if (i % 2 === 0 && round === i % 3) return;
        await put[Symbol.asyncDispose]();
      }
    };
    await Promise.all(Array.from({ length: 100 }, (_, i) => coming(i)));
    tell('settled');
    await goOn();`;
  await using a = other(at.root, churn('a'));
  await using b = other(at.root, churn('b'));
  expect([await a.line(), await b.line()]).toEqual(['settled', 'settled']);
  const staying = ['a', 'b'].flatMap((name) => Array.from({ length: 50 }, (_, i) => `n/${name}/e/${i * 2}`)).sort();
  await expect.poll(() => [...seen.keys()].sort(), { timeout: 5_000 }).toEqual(staying);
  for (const [key, value] of seen) expect(JSON.parse(value)).toMatchObject({ key });
  expect((await discovery.list({ bucket: 'v1/instances' })).map(({ key }) => key).sort()).toEqual(staying);
  a.goOn();
  await once(a.child, 'exit');
  await expect.poll(() => [...seen.keys()].every((key) => key.startsWith('n/b/')), { timeout: 5_000 }).toBe(true);
  expect(seen.size).toBe(50);
  b.goOn();
  await once(b.child, 'exit');
  await expect.poll(() => seen.size, { timeout: 5_000 }).toBe(0);
  expect(await readdir(join(at.root, 'v1/instances'))).toEqual([]);
  stop.abort();
  await watching;
});

test('of two processes that write the same keys, one gets each, and its record stands', async () => {
  await using at = await folder();
  await using discovery = await file({ root: at.root, log: silentLogger });
  const race = `
    tell('ready');
    await goOn();
    const won = [];
    const lost = [];
    await Promise.all(Array.from({ length: 50 }, async (_, i) => {
      try {
        await discovery.put(record('k/' + i));
        won.push('k/' + i);
      } catch (error) {
        lost.push(error.code);
      }
    }));
    tell(JSON.stringify({ pid: process.pid, won, lost }));
    await goOn();`;
  await using a = other(at.root, race);
  await using b = other(at.root, race);
  await Promise.all([a.line(), b.line()]);
  a.goOn();
  b.goOn();
  const results = [await a.line(), await b.line()].map((line) => JSON.parse(line) as { pid: number; won: string[]; lost: string[] });
  const all = results.flatMap(({ won }) => won).sort();
  expect(all).toEqual(Array.from({ length: 50 }, (_, i) => `k/${i}`).sort());
  expect(results.flatMap(({ lost }) => lost)).toEqual(Array(50).fill('invalid_argument'));
  const owners = new Map(results.flatMap(({ pid, won }) => won.map((key) => [key, pid] as const)));
  for (const { key, value } of await discovery.list({ bucket: 'v1/instances' }))
    expect(JSON.parse(value)).toEqual({ type: 'Endpoint', key, pid: owners.get(key) });
});
