import { copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Llm } from '@dynamo/llm';
import { DistributedRuntime } from '@dynamo/runtime';
import { afterAll, describe, expect, test } from 'vitest';
import { startMocker } from './mocker.ts';
import { findPython, freePort, scene, startFrontend } from './python.ts';

const found = findPython();
const python = 'path' in found ? found.path : '';
if ('missing' in found) console.warn(`skipped: ${found.missing}`);

/** How many rows of the trace are sent. */
const rows = Number(process.env['KV_TRACE_ROWS'] ?? 300);
const workers = 4;
const tiny = fileURLToPath(new URL('../../vectors/llm/model-tiny', import.meta.url));

/** The tiny model with room for the trace's prompts. */
const model = mkdtempSync(join(tmpdir(), 'long-context-'));
for (const file of readdirSync(tiny)) copyFileSync(join(tiny, file), join(model, file));
writeFileSync(
  join(model, 'config.json'),
  JSON.stringify({ ...JSON.parse(readFileSync(join(tiny, 'config.json'), 'utf8')), max_position_embeddings: 262_144 }),
);
afterAll(() => rmSync(model, { recursive: true }));

interface Row {
  input_length: number;
  hash_ids: number[];
}
const trace = readFileSync(new URL('../../vectors/traces/mooncake_trace_1000.jsonl', import.meta.url), 'utf8')
  .trim()
  .split('\n')
  .slice(0, rows)
  .map((line) => JSON.parse(line) as Row);

/** The same 512 tokens for the same id. */
function block(id: number): number[] {
  let state = id + 1;
  return Array.from({ length: 512 }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * 250);
  });
}
const prompt = ({ hash_ids, input_length }: Row): number[] => hash_ids.flatMap(block).slice(0, input_length);

/** Sends the trace, eight requests at a time, and adds up what the workers say they had cached. */
async function replay(address: string): Promise<{ cached: number; total: number; failed: number }> {
  const sum = { cached: 0, total: 0, failed: 0 };
  const queue = trace.values();
  await Promise.all(
    Array.from({ length: 8 }, async () => {
      for (const row of queue) {
        const response = await fetch(`${address}/v1/completions`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify({ model: 'mock', prompt: prompt(row), max_tokens: 2 }),
        });
        const { usage } = (await response.json()) as { usage?: { prompt_tokens: number; prompt_tokens_details?: { cached_tokens?: number } } };
        if (usage === undefined) sum.failed += 1;
        sum.cached += usage?.prompt_tokens_details?.cached_tokens ?? 0;
        sum.total += usage?.prompt_tokens ?? 0;
      }
    }),
  );
  return sum;
}

async function ready(address: string): Promise<void> {
  await expect
    .poll(async () => (await fetch(`${address}/v1/models/mock/ready`).catch(() => undefined))?.json().catch(() => undefined), { timeout: 60_000 })
    .toMatchObject({ namespaces: { dynamo: { worker_types: { aggregated: { workers } } } } });
}

describe.skipIf('missing' in found)('a trace through both frontends in kv mode, each over its own fleet of real mockers', () => {
  const results = new Map<string, Awaited<ReturnType<typeof replay>>>();
  const run = async (name: string, open: (env: Record<string, string>, stack: AsyncDisposableStack) => Promise<string>): Promise<void> => {
    await using stack = new AsyncDisposableStack();
    const { env } = stack.use(await scene());
    Object.assign(process.env, env);
    stack.use(
      startMocker(python, {
        args: ['--model-path', model, '--model-name', 'mock', '--num-workers', String(workers), '--speedup-ratio', '50', '--block-size', '64'],
        env,
      }),
    );
    const address = await open(env, stack);
    await ready(address);
    // Events of the workers are subscribed to by now.
    await new Promise((resolve) => setTimeout(resolve, 2_000));
    results.set(name, await replay(address));
  };
  test('ours reuses as much cache as the real one', { timeout: 300_000 }, async () => {
    await run('real', async (env, stack) => {
      const port = await freePort();
      return stack.use(await startFrontend(python, { port, env, args: ['--router-mode', 'kv'] })).url;
    });
    await run('ours', async (_env, stack) => {
      const runtime = stack.use(await DistributedRuntime.connect());
      return stack.use(await new Llm(runtime).frontend({ http: { host: '127.0.0.1', port: 0 }, router: { mode: 'kv' } })).address;
    });
    const [real, ours] = [results.get('real'), results.get('ours')];
    if (real === undefined || ours === undefined) throw new Error('both have run');
    console.log(
      JSON.stringify({ real: real.cached / real.total, ours: ours.cached / ours.total, ...{ realFailed: real.failed, oursFailed: ours.failed } }),
    );
    expect([real.failed, ours.failed]).toEqual([0, 0]);
    expect(ours.total).toBe(real.total);
    expect(real.cached / real.total).toBeGreaterThan(0.1);
    expect(ours.cached / real.cached).toBeGreaterThanOrEqual(0.98);
  });
});
