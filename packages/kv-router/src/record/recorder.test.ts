import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { KvRouterOptions } from '../options.ts';
import { ask, Cluster, prompt } from '../testing/cluster.ts';
import type { RouterEvent } from '../wire/kv-event.ts';
import { KvRecorder } from './recorder.ts';
import { replayRouting } from './replay.ts';
import { whatIf, whatIfTable } from './what-if.ts';

let folder: string;
let cluster: Cluster;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'recording-'));
  cluster = new Cluster();
});
afterEach(async () => {
  await cluster[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

const event = (id: number): RouterEvent => ({
  workerId: 0xffff_ffff_ffff_fff1n,
  dpRank: 1,
  tier: 'device',
  domain: 'worker',
  id,
  change: { type: 'stored', parent: undefined, blocks: [{ blockHash: 0xf000_0000_0000_0001n + BigInt(id), tokensHash: 7n }] },
});

describe('a recorder', () => {
  test('writes events in the form of the real one, and reads them back', async () => {
    const path = join(folder, 'events.jsonl');
    let now = 5;
    const recorder = await KvRecorder.open(path, {}, () => now);
    recorder.event(event(1));
    now = 17.5;
    recorder.event(event(2));
    expect([recorder.eventCount, recorder.elapsedMs]).toEqual([2, 12.5]);
    await recorder[Symbol.asyncDispose]();
    const [first] = (await readFile(path, 'utf8')).split('\n');
    expect(first).toBe(
      '{"timestamp":0,"event":{"worker_id":18446744073709551601,"storage_tier":"device","residency_domain":"worker","event":{"event_id":1,"data":{"stored":{"parent_hash":null,"start_position":null,"blocks":[{"block_hash":17293822569102704642,"tokens_hash":7,"mm_extra_info":null}]}},"dp_rank":1}}}',
    );
    const read: RouterEvent[] = [];
    expect(await KvRecorder.replay(path, (one) => void read.push(one))).toBe(2);
    expect(read).toEqual([event(1), event(2)]);
    expect(await KvRecorder.replay(path, () => undefined, { maxEvents: 1 })).toBe(1);
    expect(await KvRecorder.replay(path, () => undefined, { maxTimeMs: 3 })).toBe(1);
  });

  test('goes on in the next file, and stops when it has enough', async () => {
    const path = join(folder, 'a.b.jsonl');
    const recorder = await KvRecorder.open(path, { maxLinesPerFile: 3, maxEvents: 7 });
    for (let id = 1; id <= 10; id++) recorder.event(event(id));
    await recorder[Symbol.asyncDispose]();
    const lines = await Promise.all(['a.b.jsonl', 'a.b1.jsonl', 'a.b2.jsonl'].map((name) => readFile(join(folder, name), 'utf8')));
    expect(lines.map((text) => text.trimEnd().split('\n').length)).toEqual([3, 3, 1]);
    expect(await KvRecorder.replay(path, () => undefined)).toBe(7);
  });

  test('passes over a last line that is cut, and names one that is none', async () => {
    const path = join(folder, 'cut.jsonl');
    const recorder = await KvRecorder.open(path);
    for (let id = 1; id <= 3; id++) recorder.event(event(id));
    await recorder[Symbol.asyncDispose]();
    const text = await readFile(path, 'utf8');
    await writeFile(path, text.slice(0, -30));
    expect(await KvRecorder.replay(path, () => undefined)).toBe(2);
    await writeFile(path, `${text}nonsense\n${text}`);
    await expect(KvRecorder.replay(path, () => undefined)).rejects.toMatchObject({
      code: 'backend_protocol',
      message: expect.stringContaining('cut.jsonl:4'),
    });
    await expect(replayRouting(path)).rejects.toMatchObject({ code: 'backend_protocol' });
  });

  test('leaves out what the disk has no time for, and says how much', async () => {
    const path = join(folder, 'slow.jsonl');
    const recorder = await KvRecorder.open(path, { maxWaitingBytes: 1_000 });
    for (let id = 1; id <= 100; id++) recorder.event(event(id));
    expect(recorder.lostLines).toBeGreaterThan(50);
    await recorder[Symbol.asyncDispose]();
    expect(await KvRecorder.replay(path, () => undefined)).toBe(100 - recorder.lostLines);
  });
});

/** Traffic with shared prefixes over four workers, one of which leaves and one of which comes. */
async function record(options: Partial<KvRouterOptions>): Promise<string> {
  const path = join(folder, 'router.jsonl');
  const workers = await Promise.all(
    Array.from({ length: 4 }, (_, at) =>
      cluster.worker({ delayMs: 2, config: { total_kv_blocks: 60, ...(at === 0 ? { data_parallel_size: 2 } : {}) } }),
    ),
  );
  const router = await cluster.router({ workers: 4, record: { path, maxLinesPerFile: 200 }, ...options });
  let number = 0;
  const client = async (): Promise<void> => {
    for (let turn = 0; turn < 12; turn++) {
      const at = number++;
      await ask(router, [...prompt((at % 5) * 1_000, 24), ...prompt(at * 50, 20)], { maxTokens: 3 }).catch(() => undefined);
      if (at === 40) await workers[3]?.[Symbol.asyncDispose]();
      if (at === 60) await cluster.worker({ delayMs: 2 });
    }
  };
  await Promise.all(Array.from({ length: 8 }, client));
  await router[Symbol.asyncDispose]();
  return path;
}

const modes: readonly (readonly [string, Partial<KvRouterOptions>])[] = [
  ['events', {}],
  ['decisions', { index: 'approximate', approximate: { ttlMs: 150 } }],
  ['temperature', { temperature: 0.7 }],
  ['hashes made up', { settings: { assumeKvReuse: false, trackOutputBlocks: true } }],
  ['a queue', { queue: { policy: 'wspt', threshold: 0.001 } }],
  ['load alone', { index: 'none', selector: 'load-only' }],
];

test.each(modes)('a recorded router decides again bit for bit: %s', async (_, options) => {
  const path = await record(options);
  const report = await replayRouting(path);
  expect(report.differences).toEqual([]);
  expect(report.decisions).toBeGreaterThanOrEqual(96);
  expect(report.lostLines).toBe(0);
});

test('no recording holds a word of a prompt', async () => {
  const path = await record({});
  expect(await readFile(path, 'utf8')).not.toMatch(/token_ids|tokenIds|"text"/);
});

test('other options on the same traffic are told side by side', async () => {
  const path = await record({});
  const report = await whatIf(path, [
    { name: 'no credit', options: { overlapCredit: 0 } },
    { name: 'by decisions', options: { index: 'approximate' } },
  ]);
  const [recorded, same, blind] = report.runs;
  expect(report.runs.map(({ name }) => name)).toEqual(['recorded', 'same options', 'no credit', 'by decisions']);
  expect(report.runs.every(({ requests, refused }) => requests + refused === report.requests)).toBe(true);
  expect(same?.hitRate).toBeGreaterThan(blind?.hitRate ?? 1);
  expect(recorded?.requestBalance).toBeGreaterThanOrEqual(1);
  expect(await whatIf(path, [])).toMatchObject({ runs: report.runs.slice(0, 2) });
  expect(whatIfTable(report).split('\n')[2]).toMatch(/^ +recorded +same options +no credit +by decisions$/);
});
