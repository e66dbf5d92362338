import { expect, test } from 'vitest';
import { progressLine } from '../progress.ts';
import { replayOffline, type ReplayOptions } from '../replay.ts';
import { ranked, sweep } from '../sweep/sweep.ts';
import { variantsOf } from '../sweep/variants.ts';
import { htmlOf } from './html.ts';
import { ticks } from './plots.ts';
import { rankingOf } from './ranking.ts';
import { tableOf } from './table.ts';

const base: ReplayOptions = {
  synthetic: { inputTokens: 256, outputTokens: 12, requests: 60, ratePerSecond: 20, sharedPrefix: 0.5, groups: 4 },
  workers: 3,
  seed: 1,
  sla: { ttftMs: 100 },
};

test('the page holds every plot and needs nothing from elsewhere', async () => {
  const page = htmlOf(await replayOffline({ ...base, placement: 'kv', achievable: true }), 'A <replay>');
  expect(page).toContain('<title>A &lt;replay&gt;</title>');
  expect(page.match(/<svg /g)).toHaveLength(6);
  for (const title of ['Time to first token', 'Time between tokens', 'Cache in use by rank', 'Prompt tokens from the cache', 'Requests'])
    expect(page).toContain(title);
  expect(page.replaceAll('http://www.w3.org/2000/svg', '')).not.toMatch(/https?:|src=|href=|@import|url\(/);
  expect(page).not.toContain('NaN');
  const embedded = /id="summary">(.*?)<\/script>/.exec(page)?.[1] ?? '';
  expect(JSON.parse(embedded)).toMatchObject({ completed_requests: 60 });
});

test('an empty outcome still makes a page and a table', async () => {
  const result = await replayOffline({ ...base, untilMs: 0.5 });
  expect(htmlOf(result, 'x')).not.toContain('NaN');
  expect(tableOf(result.report.summary)).toContain('0 of');
});

test('the table says what was asked for', async () => {
  const { report } = await replayOffline(base);
  const table = tableOf(report.summary);
  expect(table).toContain('60 of 60 requests completed');
  expect(table).toContain('requests kept their limits');
  expect(table.split('\n').filter((line) => /^(TTFT|TTST|TPOT|ITL|request|tokens)/.test(line))).toHaveLength(6);
});

test('a sweep on threads gives what single runs give, in the order of the question', async () => {
  const variants = variantsOf(base, 'workers=1,2;engine.num_gpu_blocks=64,0');
  expect(variants.map(({ label }) => label)).toEqual([
    'workers=1 engine.num_gpu_blocks=64',
    'workers=1 engine.num_gpu_blocks=0',
    'workers=2 engine.num_gpu_blocks=64',
    'workers=2 engine.num_gpu_blocks=0',
  ]);
  const results = await sweep(variants, { threads: 2 });
  for (const at of [0, 2]) {
    const single = await replayOffline(variants[at]?.options as ReplayOptions);
    expect(results[at]?.summary?.['mean_ttft_ms']).toBe(single.report.summary['mean_ttft_ms']);
  }
  expect(results[1]?.error).toBe('num_gpu_blocks must be positive');
  expect(ranked(results, 'mean_ttft_ms').map(({ label }) => label)[0]).toBe('workers=2 engine.num_gpu_blocks=64');
  expect(ranked(results, 'request_throughput_rps').at(-1)?.error).toBeDefined();
  expect(rankingOf(results, 'mean_ttft_ms')).toContain('1. workers=2 engine.num_gpu_blocks=64');
  expect(() => ranked(results, 'beauty')).toThrow("'beauty' is no figure of the summary");
});

test.each([
  ['beauty=1', "'beauty' can't be varied"],
  ['workers', "'workers': expected NAME=VALUE,VALUE"],
  ['workers=2,', "'workers=2,': expected NAME=VALUE,VALUE"],
  ['workers=x', "workers 'x': expected a count above 0"],
  ['placement=best', "placement 'best': expected round-robin or kv"],
])('a sweep of %s is refused', (text, message) => expect(() => variantsOf(base, text)).toThrow(message));

test('settings of engine and router are varied under their names', () => {
  const [first] = variantsOf({ ...base, prefillEngine: {}, decodeEngine: {} }, 'engine.block_size=16;router.overlap_credit=0.5');
  expect(first?.options).toMatchObject({
    placement: 'kv',
    prefillEngine: { engine: { block_size: 16 } },
    decodeEngine: { engine: { block_size: 16 } },
    router: { settings: { overlapCredit: 0.5 } },
  });
});

test('progress in one line', () => {
  expect(progressLine('replay', { done: 500, total: 1_000, elapsedMs: 1_000 })).toBe(
    'replay [############............] 50 % 500 of 1,000, 500/s 1 s left',
  );
  expect(progressLine('replay', { done: 5, total: undefined, elapsedMs: 1_000 })).toBe('replay 5 requests, 5/s');
});

test('axes have round numbers', () => {
  expect(ticks(0, 10)).toEqual([0, 2, 4, 6, 8, 10]);
  expect(ticks(3, 3)).toEqual([3]);
});
