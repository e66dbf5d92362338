import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';
import { dynamo } from '../testing/command.ts';
import { freePort, start } from '../testing/running.ts';

const folder = mkdtempSync(join(tmpdir(), 'dynamo-planner-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('a day on paper: decisions, figures and a page', async () => {
  const [html, json] = [join(folder, 'plan.html'), join(folder, 'plan.json')];
  const { code, stdout, stderr } = await dynamo([
    'planner',
    '--synthetic-day',
    '40',
    '--max-gpu-budget',
    '64',
    '--report-html',
    html,
    '--report-json',
    json,
  ]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const summary = JSON.parse(stdout) as Record<string, number>;
  expect(summary).toMatchObject({ intervals: 480 });
  expect(summary['gpu_hours']).toBeLessThan(0.75 * (summary['gpu_hours_of_the_peak_all_day'] ?? 0));
  expect(summary['intervals_short_of_workers']).toBeLessThan(100);
  const { steps } = JSON.parse(readFileSync(json, 'utf8')) as { steps: { workers: { prefill: number; decode: number } }[] };
  expect(Math.max(...steps.map(({ workers }) => workers.prefill + workers.decode))).toBeLessThanOrEqual(64);
  const page = readFileSync(html, 'utf8');
  expect(page.match(/<svg /g)).toHaveLength(4);
  expect(page).not.toMatch(/NaN|Infinity/);
});

test('a trace on paper', async () => {
  const trace = fileURLToPath(new URL('../../../../vectors/traces/mooncake_trace_1000.jsonl', import.meta.url));
  const { code, stdout } = await dynamo(['planner', '--trace', trace, '--mode', 'agg', '--throughput-adjustment-interval-seconds', '30']);
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ requests: 1000 });
});

test.each([
  [['--synthetic-day', '1', '--max-gpu-budget', '1'], "the GPU budget can't be met"],
  [['--synthetic-day', '1', '--load-predictor', 'prophet'], "--load-predictor 'prophet' is not available in this version"],
  [['--environment', 'kubernetes'], "--environment 'kubernetes' is not available in this version"],
  [['--optimization-target', 'load'], "the target 'load' needs its four thresholds"],
  [['--optimization-target', 'sla'], 'needs --metrics-url or --prometheus-url'],
  [['--trace', '/nope'], '/nope'],
  [['--synthetic-day', '1', '--throughput-adjustment-interval-seconds', '0'], 'expected a number above 0'],
])('%j ends in one line and exit code 2', async (args, message) => {
  const { code, stdout, stderr } = await dynamo(['planner', ...args]);
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  expect(stderr).toContain(message);
});

test('load on one machine: workers are started and stopped with it, and no request fails', async () => {
  const env = {
    DYN_FILE_KV: join(folder, 'kv'),
    DYN_DISCOVERY_BACKEND: 'file',
    DYN_TCP_RPC_HOST: '127.0.0.1',
    DYN_EVENT_PLANE_HOST: '127.0.0.1',
    DYN_LOG: 'warn',
  };
  const port = await freePort();
  const frontend = await start(['frontend', '--http-host', '127.0.0.1', '--http-port', String(port), '--migration-limit', '3'], env);
  const flags = ['--mode', 'agg', '--optimization-target', 'load', '--max-gpu-budget', '3', '--load-adjustment-interval-seconds', '0.3'];
  const thresholds = ['--prefill-scale-up-queue-tokens', '100', '--prefill-scale-down-queue-tokens', '1'];
  const rates = ['--decode-scale-up-kv-rate', '12', '--decode-scale-down-kv-rate', '5'];
  const worker = 'dynamo mocker --model-name mock --num-gpu-blocks-override 512 --block-size 16';
  const planner = await start(['planner', ...flags, ...thresholds, ...rates, '--worker-command', worker], env);
  try {
    const url = `http://127.0.0.1:${port}/v1`;
    await expect.poll(async () => JSON.stringify(await (await fetch(`${url}/models`)).json()), { timeout: 50_000 }).toContain('"mock"');
    const workers = (): number[] =>
      planner
        .output()
        .split('\n')
        .filter((line) => line.startsWith('{"') && line.includes('"decode"'))
        .flatMap((line) => {
          const { decode } = JSON.parse(line) as { decode: number | null };
          return decode === null ? [] : [decode];
        });
    let failed = 0;
    let served = 0;
    let busy = true;
    const ask = async (): Promise<void> => {
      while (busy) {
        const body = { model: 'mock', messages: [{ role: 'user', content: 'word '.repeat(60) }], max_tokens: 40 };
        const answer = await fetch(`${url}/chat/completions`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify(body),
        }).catch(() => undefined);
        if (answer?.ok === true && JSON.stringify(await answer.json()).includes('finish_reason')) served++;
        else failed++;
      }
    };
    const users = Array.from({ length: 8 }, ask);
    await expect.poll(() => Math.max(0, ...workers()), { timeout: 50_000 }).toBeGreaterThanOrEqual(2);
    busy = false;
    await Promise.all(users);
    // One user goes on while workers are taken away.
    busy = true;
    const last = ask();
    await expect.poll(() => workers().at(-1), { timeout: 50_000 }).toBe(1);
    busy = false;
    await last;
    expect({ failed, some: served > 8 }).toEqual({ failed: 0, some: true });
  } finally {
    planner.child.kill('SIGTERM');
    expect(await planner.ended).toBe(0);
    frontend.child.kill('SIGTERM');
    await frontend.ended;
  }
}, 180_000);
