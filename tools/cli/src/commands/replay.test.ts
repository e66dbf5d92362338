import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { dynamo } from '../testing/command.ts';

const folder = mkdtempSync(join(tmpdir(), 'dynamo-replay-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const trace = join(folder, 'trace.jsonl');
writeFileSync(
  trace,
  [0, 5, 9].map((timestamp) => JSON.stringify({ timestamp, input_length: 700, output_length: 6, hash_ids: [1, timestamp] })).join('\n'),
);

test('a trace becomes a table, JSON, lines and a page', async () => {
  const [json, jsonl, html] = ['r.json', 'r.jsonl', 'r.html'].map((name) => join(folder, name)) as [string, string, string];
  const files = ['--report-json', json, '--report-jsonl', jsonl, '--report-html', html];
  const { code, stdout, stderr } = await dynamo([
    'replay',
    '--trace',
    trace,
    '--num-workers',
    '2',
    '--router-mode',
    'kv',
    '--capture-per-request',
    ...files,
  ]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(stdout).toContain('3 of 3 requests completed');
  const report = JSON.parse(readFileSync(json, 'utf8'));
  expect(report).toMatchObject({ summary: { completed_requests: 3 }, coverage: { per_request_records: 3 }, planner: null });
  expect(
    readFileSync(jsonl, 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line).output_length),
  ).toEqual([6, 6, 6]);
  expect(readFileSync(html, 'utf8')).toMatch(/^<!doctype html>[^]*<svg/);
});

test('a sweep is ranked', async () => {
  const { code, stdout } = await dynamo(['replay', '--trace', trace, '--sweep', 'workers=1,3', '--rank-by', 'max_ttft_ms', '--format', 'json']);
  expect(code).toBe(0);
  expect(JSON.parse(stdout).map(({ label }: { label: string }) => label)).toEqual(['workers=3', 'workers=1']);
});

test.each([
  [[], 'a replay needs --trace, or --input-tokens, --output-tokens and --request-count'],
  [['--input-tokens', '5'], 'a made-up workload needs --input-tokens, --output-tokens and --request-count'],
  [['--trace', '/nope'], 'failed to open trace file /nope'],
  [['--trace', trace, '--trace-block-size', '16'], 'trace line 1 input_length 700 exceeds hash_ids capacity 32'],
  [['--trace', trace, '--extra-engine-args', '{"engine":{"nope":1}}'], 'invalid engine launch config: engine.nope: unknown field `nope`'],
  [['--trace', trace, '--extra-engine-args', '/nope.json'], "engine configuration '/nope.json'"],
  [['--trace', trace, '--sweep', 'beauty=1'], "'beauty' can't be varied"],
  [['--trace', trace, '--url', 'http://127.0.0.1:1'], 'no frontend answers at http://127.0.0.1:1'],
])('%j ends in one line and exit code 2', async (args, message) => {
  const { code, stdout, stderr } = await dynamo(['replay', ...args]);
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  expect(stderr).toContain(`dynamo: ${message}`);
  expect(stderr.trimEnd()).not.toContain('\n');
});
