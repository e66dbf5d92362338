import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { type ReplayOptions, replayOffline } from './replay.ts';

const folder = mkdtempSync(join(tmpdir(), 'replay-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let files = 0;
/** A trace file with these rows; text stays as it is. */
function traceOf(rows: readonly unknown[]): string {
  const path = join(folder, `trace-${files++}.jsonl`);
  writeFileSync(path, rows.map((row) => (typeof row === 'string' ? row : JSON.stringify(row))).join('\n'));
  return path;
}

type Row = Readonly<Record<string, unknown>>;
const columns = [
  'arrival_time_ms',
  'first_admit_ms',
  'first_token_ms',
  'last_token_ms',
  'terminal_time_ms',
  'input_length',
  'requested_output_length',
  'output_length',
  'reused_input_tokens',
  'admission_count',
  'terminal_status',
  'decode_worker_idx',
  'source_held_ms',
  'destination_reserved_ms',
  'destination_activated_ms',
  'decode_admit_ms',
  'source_released_ms',
];
const sorted = (rows: readonly (readonly unknown[])[]): string[] =>
  rows.map((row) => row.map((value) => (typeof value === 'number' ? value.toFixed(6) : String(value ?? null))).join(' ')).toSorted();
const picked = (records: readonly Row[] | null, names: readonly string[] = columns): unknown[][] =>
  (records ?? []).map((record) => names.map((name) => record[name]));

const vectors = new URL('../../../vectors/mocker/', import.meta.url);

describe('the golden replays', () => {
  test.each(readdirSync(new URL('replay/', vectors)))('%s, requests and summary', async (name) => {
    const vector = JSON.parse(readFileSync(new URL(`replay/${name}`, vectors), 'utf8'));
    const { report } = await replayOffline({
      trace: [traceOf(vector.trace)],
      traceBlockSize: vector.trace_block_size,
      engine: { engine: vector.engine },
      workers: vector.num_workers,
      perRequest: true,
    });
    const names = columns.filter((column) => column in vector.expect.per_request[0]);
    expect(sorted(picked(report.per_request, names))).toEqual(sorted(picked(vector.expect.per_request, names)));
    for (const [key, wanted] of Object.entries(vector.expect.summary)) {
      const got = report.summary[key];
      // Percentiles of gaps between tokens come from a sketch.
      const isSketch = /^(median|p\d+)_(itl_ms|output_token)/.test(key);
      if (typeof wanted !== 'number') expect(got, key).toEqual(wanted);
      else expect(Math.abs((got as number) - wanted), key).toBeLessThanOrEqual(Math.max((isSketch ? 2e-3 : 1e-9) * Math.abs(wanted), 1e-7));
    }
  });

  const pairs = JSON.parse(readFileSync(new URL('disagg.json', vectors), 'utf8'));
  test.each<{ index: number; pair: any }>(pairs.map((pair: Row, index: number) => ({ index, pair })))(
    'prefill and decode apart, case $index',
    async ({ pair }) => {
      const { report } = await replayOffline({
        trace: [traceOf(pair.trace)],
        traceBlockSize: pair.trace_block_size,
        prefillEngine: { engine: pair.prefill_engine },
        decodeEngine: { engine: pair.decode_engine },
        perRequest: true,
      });
      const names = Object.keys(pair.per_request[0]);
      expect(sorted(picked(report.per_request, names))).toEqual(sorted(picked(pair.per_request, names)));
    },
  );
});

describe('replays captured from 1.6.1', () => {
  const runs = readFileSync(new URL('testing/captured-replays.jsonl', import.meta.url), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  test.each(runs.map((run, index) => [`${run.kind} ${index}`, run] as const))('%s', async (_name, { kw, ...run }) => {
    const split = kw.prefill_engine_args !== undefined;
    const options: ReplayOptions = {
      trace: [traceOf(run.trace)],
      traceBlockSize: run.trace_block_size,
      ...(split
        ? {
            prefillEngine: kw.prefill_engine_args,
            decodeEngine: kw.decode_engine_args,
            prefillWorkers: kw.num_prefill_workers,
            decodeWorkers: kw.num_decode_workers,
          }
        : { engine: run.args, workers: run.num_workers }),
      concurrency: kw.replay_concurrency,
      arrivalSpeedup: kw.arrival_speedup_ratio,
      perRequest: true,
    };
    if (run.expect.error !== undefined) await expect(replayOffline(options)).rejects.toThrow(run.expect.error);
    else expect(sorted(picked((await replayOffline(options)).report.per_request))).toEqual(sorted(run.expect.per_request));
  });
});

describe('traces of every wrong kind, with the number of the line', () => {
  const good = { hash_ids: [1], output_length: 1, timestamp: 0 };
  test.each<[unknown[], string]>([
    [[], 'did not contain any requests'],
    [['not json'], 'failed to parse line 1 from FILE as JSON'],
    [[good, '', '[1]'], 'failed to parse line 3 from FILE as JSON'],
    [['{}'], 'trace line 1 is missing hash_ids'],
    [[good, { ...good, hash_ids: null }], 'trace line 2 is missing hash_ids'],
    [[{ hash_ids: [1] }], 'trace line 1 is missing output_length'],
    [[{ hash_ids: [1], output_token_ids: [1, 2], timestamp: 0 }], 'trace line 1 is missing output_length'],
    [[{ ...good, output_length: -1 }], 'failed to parse line 1 from FILE as JSON'],
    [[{ ...good, output_length: 1.5 }], 'failed to parse line 1 from FILE as JSON'],
    [[{ ...good, hash_ids: ['a'] }], 'failed to parse line 1 from FILE as JSON'],
    [[{ ...good, hash_ids: [-1] }], 'failed to parse line 1 from FILE as JSON'],
    [[{ ...good, hash_ids: [1.5] }], 'failed to parse line 1 from FILE as JSON'],
    [[{ ...good, hash_ids: 5 }], 'failed to parse line 1 from FILE as JSON'],
    [[{ ...good, timestamp: 'a' }], 'failed to parse line 1 from FILE as JSON'],
    [[{ ...good, priority: 'x' }], 'failed to parse line 1 from FILE as JSON'],
    [[{ ...good, session_id: 5 }], 'failed to parse line 1 from FILE as JSON'],
    [[good, { ...good, timestamp: undefined }], 'trace mode requires first_arrival_timestamp_ms for session request_2'],
    [[{ ...good, timestamp: null }], 'trace mode requires first_arrival_timestamp_ms for session request_1'],
    [[{ ...good, hash_ids: [] }], 'session request_1 turn 0 must have a positive input_length'],
    [[{ ...good, input_length: 0 }], 'session request_1 turn 0 must have a positive input_length'],
    [[good, { ...good, input_length: 65 }], 'trace line 2 input_length 65 exceeds hash_ids capacity 64'],
    [[{ ...good, output_length: 2, output_token_ids: [1] }], 'trace line 1 output_length 2 does not match output_token_ids length 1'],
    [[{ ...good, delay: 5 }], 'trace line 1 sets delay on the first turn of session request_1'],
    [[{ ...good, delay: 5, session_id: 'a' }], 'trace line 1 sets delay on the first turn of session a'],
    [
      [
        { ...good, session_id: 'a' },
        { ...good, session_id: 'a', delay: -1 },
      ],
      'trace line 2 has invalid delay -1',
    ],
    [
      [
        { ...good, session_id: 'a', timestamp: 10 },
        { ...good, session_id: 'a', timestamp: 5 },
      ],
      'trace line 2 has invalid delay -5',
    ],
  ])('%j', async (rows, message) => {
    const path = traceOf(rows);
    await expect(replayOffline({ trace: [path], traceBlockSize: 64 })).rejects.toThrow(message.replace('FILE', path));
  });

  test('ids of 64 bits are told apart', async () => {
    const rows = [18_446_744_073_709_551_615n, 18_446_744_073_709_551_614n].map((id) => `{"hash_ids":[${id}],"output_length":1,"timestamp":0}`);
    const { report } = await replayOffline({ trace: [traceOf(rows)], traceBlockSize: 128 });
    expect(report.summary['prefix_cache_reused_ratio']).toBe(0);
  });

  test('a file that is not there', async () => expect(replayOffline({ trace: ['/nope'] })).rejects.toThrow('failed to open trace file /nope'));
});

describe('options that cannot be', () => {
  const rows = [{ hash_ids: [1], output_length: 3, timestamp: 0 }];
  test.each<[Partial<ReplayOptions>, string]>([
    [{ workers: 0 }, 'aggregated pool must start with at least one worker'],
    [{ concurrency: 0 }, 'replay_concurrency must be at least 1'],
    [{ arrivalSpeedup: 0 }, 'ratio must be a finite positive number, got 0'],
    [{ traceBlockSize: 0 }, 'trace_block_size must be greater than 0'],
    [{ sla: { ttftMs: -1 } }, 'sla_ttft_ms must be a finite, non-negative value, got -1'],
    [{ sla: { ttftMs: 1, e2eMs: 1 } }, 'sla.e2e_ms is mutually exclusive with sla.ttft_ms/itl_ms'],
    [{ eventLagMs: 5 }, "kv_event_lag_ms only supports router_mode='kv_router'"],
    [{ eventLagMs: -1, placement: 'kv' }, 'kv_event_lag_ms must be finite and non-negative, got -1'],
    [{ engine: {}, prefillEngine: {} }, 'extra_engine_args cannot be combined with prefill_engine_args/decode_engine_args'],
  ])('%j', async (options, message) => expect(replayOffline({ trace: [traceOf(rows)], traceBlockSize: 64, ...options })).rejects.toThrow(message));
});

describe('with a KV router', () => {
  // Three conversations of which each has a worker's worth of prefix.
  const rows = Array.from({ length: 60 }, (_, index) => ({
    timestamp: index * 40,
    output_length: 4,
    hash_ids: [index % 3, 100 + (index % 3), 200 + (index % 3), 1_000 + index],
  }));
  const run = async (options: Partial<ReplayOptions>): Promise<number> =>
    (await replayOffline({ trace: [traceOf(rows)], traceBlockSize: 256, workers: 4, seed: 1, ...options })).report.summary[
      'prefix_cache_reused_ratio'
    ] as number;

  test('prefixes are found where they are, more than in turn', async () => {
    expect(await run({ placement: 'kv' })).toBeGreaterThan((await run({})) + 0.05);
  });

  test('the same seed gives the same run', async () => {
    const records = async (): Promise<unknown> =>
      sorted(
        picked(
          (await replayOffline({ trace: [traceOf(rows)], traceBlockSize: 256, workers: 4, placement: 'kv', seed: 7, perRequest: true })).report
            .per_request,
        ),
      );
    expect(await records()).toEqual(await records());
  });

  test.each<[string, Partial<ReplayOptions>]>([
    ['its own decisions alone', { router: { index: 'approximate' } }],
    ['no index', { router: { index: 'none' } }],
    ['a queue', { router: { queue: { threshold: 0.1 } } }],
    ['late events', { eventLagMs: 500 }],
    ['a router that follows output', { router: { settings: { trackOutputBlocks: true } } }],
  ])('ends with %s', async (_name, options) => {
    const { report } = await replayOffline({ trace: [traceOf(rows)], traceBlockSize: 256, workers: 4, placement: 'kv', seed: 1, ...options });
    expect(report.summary['completed_requests']).toBe(60);
  });

  test('ends with prefill and decode apart', async () => {
    const { report } = await replayOffline({
      trace: [traceOf(rows)],
      traceBlockSize: 256,
      placement: 'kv',
      prefillEngine: { engine: { worker_type: 'prefill' } },
      decodeEngine: { engine: { worker_type: 'decode' } },
      prefillWorkers: 2,
      decodeWorkers: 2,
    });
    expect(report.summary['completed_requests']).toBe(60);
  });
});

describe('made-up workloads', () => {
  test('sessions repeat what was said and go on', async () => {
    const { report } = await replayOffline({
      synthetic: { inputTokens: 128, outputTokens: 8, requests: 10, turns: 3, intervalMs: 5, turnDelayMs: 10 },
      perRequest: true,
    });
    expect(report.summary).toMatchObject({ completed_requests: 30, total_output_tokens: 240 });
    expect(report.summary['prefix_cache_reused_ratio']).toBeGreaterThan(0.4);
  });

  test.each([{ requests: 0 }, { inputTokens: 1.5 }, { sharedPrefix: 2 }, { ratePerSecond: 1, intervalMs: 1 }])('%j is refused', async (change) =>
    expect(replayOffline({ synthetic: { inputTokens: 8, outputTokens: 2, requests: 4, ...change } })).rejects.toThrow(/must be|two ways/),
  );
});
