import { fileURLToPath } from 'node:url';
import { Llm } from '@dynamo/llm';
import { cardFromDirectory } from '@dynamo/llm/internal';
import { DistributedRuntime } from '@dynamo/runtime';
import { encodeModel } from '@dynamo/runtime/internal';
import { describe, expect, test } from 'vitest';
import { startMocker } from './mocker.ts';
import { findPython, freePort, scene, startFrontend } from './python.ts';

const found = findPython();
const python = 'path' in found ? found.path : '';
if ('missing' in found) console.warn(`skipped: ${found.missing}`);
const tiny = fileURLToPath(new URL('../../vectors/llm/model-tiny', import.meta.url));

const ask = (address: string, more: object = {}): Promise<Response> =>
  fetch(`${address}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'm', messages: [{ role: 'user', content: 'hi' }], max_tokens: 5, ...more }),
  });

/** One worker of ours with a role, which answers with what it is given. */
async function serveRole(role: 'prefill' | 'decode', chunks: readonly Record<string, unknown>[], got: any[]): Promise<DistributedRuntime> {
  const runtime = await DistributedRuntime.connect();
  const served = await runtime.serve(`dynamo.${role}.generate`, async function* (request: unknown) {
    got.push(request);
    yield* chunks;
  });
  const { id, namespace, component, endpoint } = served.instance;
  const needs = [[role === 'prefill' ? 'decode' : 'prefill']];
  const card = {
    ...(await cardFromDirectory(tiny, { name: 'm' })),
    worker_type: role,
    needs,
    ...(role === 'prefill' ? { model_type: 'Prefill' } : {}),
  };
  await runtime.discovery.put(encodeModel({ id, namespace, component, endpoint, card }));
  return runtime;
}

describe.skipIf('missing' in found).each(['kv', 'round-robin'])('router mode %s', (mode) => {
  test('our prefill and decode workers behind the real frontend and behind ours are told the same', { timeout: 90_000 }, async () => {
    await using stack = new AsyncDisposableStack();
    const { env } = stack.use(await scene());
    Object.assign(process.env, env);
    const prefill: any[] = [];
    const decode: any[] = [];
    const usage = { prompt_tokens: 9, completion_tokens: 1, total_tokens: 10, prompt_tokens_details: { cached_tokens: 2 } };
    stack.use(
      await serveRole(
        'prefill',
        [{ token_ids: [9], disaggregated_params: { kv_transfer_params: { blocks: [1] } }, completion_usage: usage }],
        prefill,
      ),
    );
    stack.use(await serveRole('decode', [{ token_ids: [111] }, { token_ids: [107], finish_reason: 'stop' }], decode));
    const real = stack.use(await startFrontend(python, { port: await freePort(), env, args: ['--router-mode', mode] })).url;
    const runtime = stack.use(await DistributedRuntime.connect());
    const ours = stack.use(await new Llm(runtime).frontend({ http: { host: '127.0.0.1', port: 0 }, router: { mode: mode as 'kv' } })).address;
    const seen = [];
    for (const address of [real, ours]) {
      await expect.poll(async () => (await ask(address)).status, { timeout: 40_000 }).toBe(200);
      prefill.length = decode.length = 0;
      const answer = (await (await ask(address)).json()) as any;
      expect(answer.choices[0].message.content).toBe('ok');
      seen.push({ prefill: prefill[0], decode: decode[0] });
    }
    expect(JSON.parse(text(seen[1]))).toEqual(JSON.parse(text(seen[0])));
  });
});

const text = (value: unknown): string => JSON.stringify(value, (_key, item: unknown) => (typeof item === 'bigint' ? String(item) : item));

test.skipIf('missing' in found)('our frontend over real mockers that are split into prefill and decode', { timeout: 90_000 }, async () => {
  await using stack = new AsyncDisposableStack();
  const { env } = stack.use(await scene());
  Object.assign(process.env, env);
  const args = ['--model-path', tiny, '--model-name', 'm', '--speedup-ratio', '10', '--block-size', '16'];
  stack.use(startMocker(python, { args: [...args, '--disaggregation-mode', 'prefill', '--bootstrap-ports', String(await freePort())], env }));
  stack.use(startMocker(python, { args: [...args, '--disaggregation-mode', 'decode'], env }));
  const runtime = stack.use(await DistributedRuntime.connect());
  const { address } = stack.use(await new Llm(runtime).frontend({ http: { host: '127.0.0.1', port: 0 }, router: { mode: 'kv' } }));
  await expect.poll(async () => (await ask(address, { ignore_eos: true })).status, { timeout: 60_000 }).toBe(200);
  const answer = (await (await ask(address, { ignore_eos: true, nvext: { extra_fields: ['worker_id'] } })).json()) as any;
  expect(answer.usage.completion_tokens).toBe(5);
  expect(answer.nvext.worker_id.prefill_worker_id).not.toBe(answer.nvext.worker_id.decode_worker_id);
});
