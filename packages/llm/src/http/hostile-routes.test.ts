import { DistributedRuntime } from '@dynamo/runtime';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import type { Frontend } from '../frontend/frontend.ts';
import { Llm } from '../llm.ts';
import { scriptedWorker, type ScriptStep } from '../testing/scripted-worker.ts';
import { odd, random } from './testing/damage.ts';

/** A body of each route that is right, and what its worker answers. */
const routes: Readonly<Record<string, { model: string; body: object; script: ScriptStep[] }>> = {
  '/v1/embeddings': {
    model: 'emb',
    body: {
      model: 'emb',
      input: ['a', 'b'],
      encoding_format: 'float',
      dimensions: 3,
      user: 'u',
      truncate_prompt_tokens: 4,
      nvext: { annotations: ['a'] },
    },
    script: [{ embeddings: ['AAAAPw=='], prompt_tokens: 1, total_tokens: 1 }],
  },
  '/v1/classify': {
    model: 'cls',
    body: { model: 'cls', input: 'x', priority: 1, truncation_side: 'left', mm_processor_kwargs: { a: 1 }, use_activation: true, nvext: {} },
    script: [{ id: 'c', object: 'list', created: 1, model: 'cls', data: [], usage: { prompt_tokens: 1, total_tokens: 1 } }],
  },
  '/v1/pooling': {
    model: 'cls',
    body: {
      model: 'cls',
      input: [[1, 2], [3]],
      encoding_format: 'base64',
      embed_dtype: 'float16',
      endianness: 'big',
      task: 'embed',
      request_id: 'r',
    },
    script: [{ id: 'c', object: 'list', created: 1, model: 'cls', data: [], usage: { prompt_tokens: 1, total_tokens: 1 } }],
  },
  '/v1/rerank': {
    model: 'rer',
    body: { model: 'rer', query: 'q', documents: ['a', 'b'], top_n: 1, return_documents: true, nvext: { annotations: ['a'] } },
    script: [{ _yield: [{ index: 0, score: 0.5 }] }],
  },
  '/v1/chat/completions': {
    model: 'text',
    body: { model: 'text', messages: [{ role: 'user', content: 'x' }], temperature: 0.5, stop: ['a'], chat_template_args: { thinking: true } },
    script: [
      {
        id: 'x',
        object: 'chat.completion.chunk',
        created: 1,
        model: 'text',
        choices: [{ index: 0, delta: { content: 'a' }, finish_reason: 'stop' }],
      },
    ],
  },
  '/v1/completions': {
    model: 'comp',
    body: { model: 'comp', prompt: ['a', 'b'], max_tokens: 3, logprobs: 1, echo: true, nvext: { extra_fields: ['timing'] } },
    script: [{ id: 'x', object: 'text_completion', created: 1, model: 'comp', choices: [{ index: 0, text: 'a', finish_reason: 'stop' }] }],
  },
  '/busy_threshold': { model: 'text', body: { model: 'text', active_decode_blocks_threshold: 0.5, active_prefill_tokens_threshold: 10 }, script: [] },
};

let runtime: DistributedRuntime;
let frontend: Frontend;

beforeAll(async () => {
  runtime = await DistributedRuntime.connect({ discovery: 'mem' });
  const text = { input: 'text' as const };
  const workers = {
    emb: await scriptedWorker(runtime, 'emb', { surfaces: ['embedding'] }),
    cls: await scriptedWorker(runtime, 'cls', { ...text, surfaces: ['classify', 'pooling'] }),
    rer: await scriptedWorker(runtime, 'rer', { ...text, surfaces: ['rerank'] }),
    text: await scriptedWorker(runtime, 'text', { ...text, surfaces: ['chat'] }),
    comp: await scriptedWorker(runtime, 'comp', { ...text, surfaces: ['completions'] }),
  };
  for (const { model, script } of Object.values(routes)) if (script.length > 0) workers[model as keyof typeof workers].script = script;
  frontend = await new Llm(runtime).frontend({ access: { admin: 'open' }, http: { host: '127.0.0.1', port: 0 } });
  await vi.waitFor(() => expect(frontend.models).toHaveLength(5), 10_000);
});

afterAll(async () => {
  await frontend[Symbol.asyncDispose]();
  await runtime[Symbol.asyncDispose]();
});

/** A body with one or two things wrong: a member replaced, dropped, doubled or added, or the text itself damaged. */
function mutated(body: object, pick: (below: number) => number): string {
  const made: Record<string, unknown> = { ...body };
  const names = Object.keys(made);
  const name = (): string => names[pick(names.length)] ?? 'model';
  const value = (): unknown => odd[pick(odd.length)];
  const kind = pick(10);
  if (kind < 4) made[name()] = value();
  if (kind === 4) delete made[name()];
  if (kind === 5) made[`${name()}_`] = value();
  if (kind === 6) made['nvext'] = { annotations: value(), backend_instance_id: value() };
  let text = JSON.stringify(made);
  if (kind === 7) text = text.slice(0, pick(text.length));
  if (kind === 8) {
    const at = pick(text.length);
    text = text.slice(0, at) + ['"', '}', ']', ',', '\\', '\n', '0', '-', 'e', '\ud800'][pick(10)] + text.slice(at + pick(2));
  }
  if (kind === 9) text = `{${JSON.stringify(name())}:${JSON.stringify(value())},${text.slice(1)}`;
  return text;
}

test.each(Object.entries(routes))(
  '%s answers 300 damaged bodies with a status of theirs, and goes on',
  { timeout: 60_000 },
  async (path, { body }) => {
    const pick = random(path.length * 7919);
    const bodies = Array.from({ length: 300 }, () => mutated(body, pick));
    const statuses = new Map<number, number>();
    for (let at = 0; at < bodies.length; at += 20) {
      await Promise.all(
        bodies.slice(at, at + 20).map(async (sent) => {
          const response = await fetch(frontend.address + path, {
            method: 'POST',
            headers: { 'content-type': 'application/json' },
            body: sent,
            signal: AbortSignal.timeout(20_000),
          });
          const text = await response.text();
          statuses.set(response.status, (statuses.get(response.status) ?? 0) + 1);
          expect([200, 400, 404, 422, 501], `${response.status} for ${sent.slice(0, 300)}: ${text}`).toContain(response.status);
          if (response.headers.get('content-type') !== 'application/json') return;
          const told = JSON.parse(text) as { message?: string; code?: number; error?: string };
          if (response.status !== 200 && told.error === undefined)
            expect(told).toMatchObject({ code: response.status, message: expect.stringMatching(/./) });
        }),
      );
    }
    expect(statuses.get(400) ?? 0).toBeGreaterThan(50);
    const right = await fetch(frontend.address + path, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    expect([right.status, right.status === 200 ? '' : await right.text()]).toEqual([200, '']);
  },
);
