import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { readMockLaunch } from './launch-options.ts';
import { MockEngine } from './mock-engine.ts';
import { driveAll, type Outcome } from './testing/drive.ts';

const vectors = new URL('../../../../vectors/mocker/replay/', import.meta.url);

interface Row {
  readonly timestamp: number;
  readonly input_length: number;
  readonly output_length: number;
  readonly hash_ids: readonly number[];
}

/** The columns of captured outcomes that say when and how; two requests alike in all of them are the same. */
const columns = (outcome: Outcome): (number | string | null)[] => [
  outcome.request.at,
  outcome.admissions[0]?.[0] ?? null,
  outcome.tokens[0] ?? null,
  outcome.tokens.at(-1) ?? null,
  outcome.endMs ?? null,
  outcome.request.input,
  outcome.request.output,
  outcome.tokens.length,
  outcome.admissions.at(-1)?.[1] ?? 0,
  outcome.admissions.length,
  outcome.status,
];
const names = [
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
];
const rounded = (rows: readonly (readonly (number | string | null)[])[]): string[] =>
  rows.map((row) => row.map((value) => (typeof value === 'number' ? value.toFixed(6) : String(value))).join(' ')).toSorted();

describe('the golden replays', () => {
  const files = readdirSync(vectors).filter((name) => name.endsWith('.json'));
  test('there are 24', () => expect(files).toHaveLength(24));

  test.each(files)('%s', async (name) => {
    const vector = JSON.parse(readFileSync(new URL(name, vectors), 'utf8'));
    const { engine } = await readMockLaunch({ engine: vector.engine });
    const requests = vector.trace.map((row: Row) => ({ at: row.timestamp, input: row.input_length, output: row.output_length, ids: row.hash_ids }));
    const outcomes = driveAll(vector.num_workers, engine, { requests, traceBlock: vector.trace_block_size });
    const wanted = vector.expect.per_request.map((record: Record<string, number | string | null>) => names.map((column) => record[column] ?? null));
    expect(rounded(outcomes.map(columns))).toEqual(rounded(wanted));
  });
});

describe('runs captured from 1.6.1', () => {
  const runs = readFileSync(new URL('testing/captured-runs.jsonl', import.meta.url), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));

  test.each(runs.map((run, index) => [`${run.kind} ${index}`, run] as const))('%s', async (_name, run) => {
    const { engine } = await readMockLaunch({ engine: run.engine });
    const requests = run.trace.map(([at, input, output, ids]: [number, number, number, number[]]) => ({ at, input, output, ids }));
    const go = (): Outcome[] => driveAll(run.num_workers, engine, { requests, traceBlock: run.trace_block_size });
    // The real replay ends such a run with this error; the engine itself only makes no progress.
    if (run.expect.error !== undefined) expect(go).toThrow('effect-free zero-duration pass');
    else expect(rounded(go().map(columns))).toEqual(rounded(run.expect.per_request));
  });
});

describe('what an engine tells', () => {
  const hashes = (...numbers: number[]): BigUint64Array => BigUint64Array.from(numbers, (number) => BigInt(number) * 0x9e37_79b9_7f4a_7c15n);

  test('stores and removals, in order, with what a router needs', () => {
    const engine = new MockEngine({ blockSize: 4, blocks: 3, kvEvents: true });
    engine.submit({ id: 'a', promptTokens: 9, sequence: hashes(1, 2), local: hashes(11, 12), maxOutputTokens: 1 });
    const first = engine.step(0);
    expect(first.changes).toHaveLength(1);
    expect(first.changes[0]).toMatchObject({ type: 'stored', from: 0, count: 2 });
    engine.submit({ id: 'b', promptTokens: 9, sequence: hashes(3, 4), local: hashes(13, 14), maxOutputTokens: 1 });
    expect(engine.step(first.endMs).changes.map(({ type }) => type)).toEqual(['removed', 'stored']);
  });

  test('the prefix goes last', () => {
    const engine = new MockEngine({ blockSize: 4, blocks: 4, kvEvents: true });
    engine.submit({ id: 'a', promptTokens: 9, sequence: hashes(1, 2), maxOutputTokens: 1 });
    const { endMs } = engine.step(0);
    engine.submit({ id: 'b', promptTokens: 9, sequence: hashes(3, 4), maxOutputTokens: 1 });
    const removed = engine.step(endMs).changes.filter((change) => change.type === 'removed');
    expect(removed.flatMap(({ hashes: gone }) => [...gone])).toEqual([...hashes(2)]);
  });

  test('loads, and the counts of a pass', () => {
    const engine = new MockEngine({ blockSize: 4, blocks: 8, maxSequences: 1, forwardPasses: true });
    engine.submit({ id: 'a', promptTokens: 5, sequence: hashes(1), maxOutputTokens: 3 });
    engine.submit({ id: 'b', promptTokens: 6, sequence: hashes(2), maxOutputTokens: 3 });
    const { forward } = engine.step(0);
    expect(engine.load).toEqual({ activeBlocks: 2, totalBlocks: 8, running: 1, waiting: 1, preemptions: 0 });
    expect(forward).toMatchObject({ scheduledPrefills: 1, scheduledPrefillTokens: 5, queuedPrefills: 1, queuedPrefillTokens: 6 });
  });

  test.each(['waiting', 'running'] as const)('nothing is left of a request that is cancelled while %s', (state) => {
    const engine = new MockEngine({ blockSize: 4, blocks: 8, maxSequences: 1 });
    const running = engine.submit({ id: 'a', promptTokens: 5, sequence: hashes(1), maxOutputTokens: 3 });
    const waiting = engine.submit({ id: 'b', promptTokens: 6, sequence: hashes(2), maxOutputTokens: 3 });
    engine.step(0);
    engine.cancel(state === 'running' ? running : waiting);
    expect(engine.load).toMatchObject(
      state === 'running' ? { activeBlocks: 0, running: 0, waiting: 1 } : { activeBlocks: 2, running: 1, waiting: 0 },
    );
    engine.cancel(state === 'running' ? waiting : running);
    expect(engine.idle).toBe(true);
  });

  test('a decode worker pays a decode step for a first token, also where it reads the prompt itself', () => {
    const first = (role: 'aggregated' | 'decode'): number => {
      const engine = new MockEngine({ blockSize: 16, blocks: 8, role });
      engine.submit({ id: 'a', promptTokens: 100, sequence: hashes(1, 2, 3, 4, 5, 6), maxOutputTokens: 2 });
      return engine.step(0).endMs;
    };
    // 100 of 128 tokens; measured on 1.6.1.
    expect(first('decode')).toBeCloseTo(32.2249, 4);
    expect(first('aggregated')).toBeCloseTo(4.209989e-7 * 1e4 + 1.518344 + 16.50142, 5);
  });
});
