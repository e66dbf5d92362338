import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Llm, type TokenRequest } from '@dynamo/llm';
import { DistributedRuntime } from '@dynamo/runtime';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { bundledModel } from '../model-folder.ts';
import { freePort, type Running, start } from '../testing/running.ts';

let root: string;
let runtime: DistributedRuntime;
const env: Record<string, string> = {};
const started: Running[] = [];

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'dynamo-fleet-'));
  Object.assign(env, { DYN_FILE_KV: root, DYN_LOG: 'warn', DYN_HTTP_ADMIN_API: 'open' });
  process.env['DYN_FILE_KV'] = root;
  runtime = await DistributedRuntime.connect({ discovery: 'file' });
  await new Llm(runtime).serve({
    endpoint: 'fleet.backend.generate',
    model: bundledModel,
    name: 'echo',
    engine: async function* ({ stop }: TokenRequest) {
      for (let i = 0; i < (stop?.maxTokens ?? 5); i++) {
        await sleep(10);
        yield { tokenIds: [104] };
      }
      yield { tokenIds: [], finishReason: 'stop' };
    },
  });
});
afterEach(async () => {
  for (const { child, ended } of started.splice(0)) {
    child.kill('SIGTERM');
    await ended;
  }
});
afterAll(async () => {
  await runtime[Symbol.asyncDispose]();
  delete process.env['DYN_FILE_KV'];
  await rm(root, { recursive: true });
});

async function open(port: number, ...more: string[]): Promise<Running> {
  const running = await start(['frontend', '--http-host', '127.0.0.1', '--http-port', String(port), ...more], env);
  started.push(running);
  return running;
}

/** Every request has a connection of its own: the kernel shares these out. */
const ask = (port: number, body: object = {}): Promise<Response> =>
  fetch(`http://127.0.0.1:${port}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', connection: 'close' },
    body: JSON.stringify({ model: 'echo', messages: [{ role: 'user', content: 'hi' }], max_tokens: 3, ...body }),
  });

const get = async (port: number, path: string): Promise<string> =>
  (await fetch(`http://127.0.0.1:${port}${path}`, { headers: { connection: 'close' } })).text();

/** All processes have the model once many fresh connections see it. */
const ready = (port: number): Promise<void> =>
  expect
    .poll(async () => (await Promise.all(Array.from({ length: 12 }, () => get(port, '/v1/models')))).every((text) => text.includes('"echo"')), {
      timeout: 20_000,
    })
    .toBe(true);

const pidsOf = ({ output }: Running): number[] => (/pids ([\d, ]+)/.exec(output())?.[1] ?? '').split(', ').map(Number);

const succeeded = async (port: number): Promise<number> =>
  Number(/dynamo_frontend_requests_total\{[^}]*model="echo",request_type="unary",status="success"\} (\d+)/.exec(await get(port, '/metrics'))?.[1]);

describe('several processes on one port', () => {
  test('they share requests, add up what they count, tell each other changes, and one that dies is started again', async () => {
    const port = await freePort();
    const fleet = await open(port, '--http-workers', '2');
    await ready(port);
    expect((await Promise.all(Array.from({ length: 40 }, () => ask(port)))).map(({ status }) => status)).toEqual(
      Array.from({ length: 40 }, () => 200),
    );
    for (let i = 0; i < 4; i++) expect(await succeeded(port)).toBe(40);

    const url = `http://127.0.0.1:${port}/busy_threshold`;
    const change = { model: 'echo', active_decode_blocks_threshold: 0.5 };
    const changed = await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(change) });
    expect(changed.status).toBe(200);
    await expect
      .poll(async () => (await Promise.all(Array.from({ length: 12 }, () => get(port, '/busy_threshold')))).every((text) => text.includes('0.5')))
      .toBe(true);

    const [victim = 0, other = 0] = pidsOf(fleet);
    process.kill(victim, 'SIGKILL');
    await expect.poll(() => fleet.output(), { timeout: 10_000 }).toContain('a frontend process has ended: starting it again');
    await ready(port);
    expect((await ask(port)).status).toBe(200);
    expect(() => process.kill(other, 0)).not.toThrow();
  });

  test('a signal drains all of them, and streams go on to their end', async () => {
    const port = await freePort();
    const fleet = await open(port, '--http-workers', '2');
    await ready(port);
    const streams = await Promise.all(Array.from({ length: 10 }, () => ask(port, { stream: true, max_tokens: 150 })));
    fleet.child.kill('SIGINT');
    for (const stream of streams) {
      const text = await stream.text();
      expect(text).toContain('"finish_reason":"stop"');
      expect(text.endsWith('data: [DONE]\n\n')).toBe(true);
    }
    expect(await fleet.ended).toBe(0);
    for (const pid of pidsOf(fleet)) expect(isAlive(pid)).toBe(false);
  });

  test('a second signal ends all of them at once', async () => {
    const port = await freePort();
    const fleet = await open(port, '--http-workers', '2');
    await ready(port);
    const stream = await ask(port, { stream: true, max_tokens: 100_000 });
    const reading = stream.text().catch((error: unknown) => error);
    fleet.child.kill('SIGINT');
    await sleep(800);
    fleet.child.kill('SIGINT');
    expect(await fleet.ended).toBe(130);
    for (const pid of pidsOf(fleet)) await expect.poll(() => isAlive(pid)).toBe(false);
    await reading;
  });

  test('a port of somebody else is named', async () => {
    const port = await freePort();
    await open(port);
    await expect(open(port, '--http-workers', '2')).rejects.toThrow(`port ${port} on 127.0.0.1 is in use`);
  });
});

/** Whether a process runs; one that nobody has asked for its exit code is still listed. */
const isAlive = (pid: number): boolean => {
  try {
    return !readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z ');
  } catch {
    return false;
  }
};

test('a frontend is replaced while streams run: no stream breaks, and whoever comes is answered by the new one', async () => {
  const port = await freePort();
  const old = await open(port, '--http-reuse-port');
  await ready(port);
  const streams = await Promise.all(Array.from({ length: 20 }, () => ask(port, { stream: true, max_tokens: 200 })));
  const reading = streams.map((stream) => stream.text());
  await open(port, '--http-reuse-port');
  await ready(port);
  old.child.kill('SIGTERM');
  const outcomes: string[] = [];
  while (old.child.exitCode === null) {
    // What the kernel had queued for the old one in the instant it stopped listening may be reset; every client tries again.
    const answer = await ask(port).catch(() => ask(port));
    outcomes.push(String(answer.status));
    await answer.text();
  }
  expect(new Set(outcomes)).toEqual(new Set(['200']));
  expect(await old.ended).toBe(0);
  for (const text of await Promise.all(reading)) {
    expect(text).toContain('"finish_reason":"stop"');
    expect(text.endsWith('data: [DONE]\n\n')).toBe(true);
  }
  expect((await ask(port)).status).toBe(200);
});
