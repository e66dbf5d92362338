import { DistributedRuntime, type HandlerContext } from '@dynamo/runtime';
import { OpenAI } from 'openai';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import type { Frontend } from '../frontend/frontend.ts';
import { Llm } from '../llm.ts';
import { tinyModel } from '../testing/scripted-worker.ts';

let runtime: DistributedRuntime;
let frontend: Frontend;
let openai: OpenAI;

interface Embed {
  token_ids: number[][];
}

/** Two numbers a text: its length, and half of it. */
async function* embed(request: Embed) {
  const vectors = request.token_ids.map((ids) => Buffer.from(new Float32Array([ids.length, ids.length / 2]).buffer).toString('base64'));
  const tokens = request.token_ids.reduce((sum, ids) => sum + ids.length, 0);
  yield { embeddings: vectors, prompt_tokens: tokens, total_tokens: tokens };
}

async function* talk(request: { model: string; messages: { content: string }[] }, { id }: HandlerContext) {
  const said = request.messages.at(-1)?.content ?? '';
  for (const [index, word] of [...said.split(' '), ''].entries()) {
    const last = index === said.split(' ').length;
    const delta = last ? {} : { content: `${word} ` };
    yield {
      id,
      object: 'chat.completion.chunk',
      created: 5,
      model: request.model,
      choices: [{ index: 0, delta, finish_reason: last ? 'stop' : null }],
    };
  }
}

async function* order(request: { query: string; documents: string[] }) {
  const scores = request.documents.map((document, index) => ({ index, score: document.includes(request.query) ? 1 : 0.25 }));
  yield scores.toSorted((a, b) => b.score - a.score);
}

async function* classify(request: { model: string; input: string[] }) {
  const data = request.input.map((text, index) => ({ index, label: text.length > 3 ? 'long' : 'short', probs: [0.75, 0.25], num_classes: 2 }));
  yield { id: 'c', object: 'list', created: 5, model: request.model, data, usage: { prompt_tokens: 2, total_tokens: 2 } };
}

beforeAll(async () => {
  runtime = await DistributedRuntime.connect({ discovery: 'mem' });
  const llm = new Llm(runtime);
  const model = tinyModel;
  await llm.serve({ endpoint: 'k.emb.generate', model, name: 'emb', surfaces: ['embedding'], engine: embed });
  await llm.serve({ endpoint: 'k.talk.generate', model, name: 'talk', input: 'text', surfaces: ['chat'], engine: talk });
  await llm.serve({ endpoint: 'k.rerank.generate', model, name: 'order', input: 'text', surfaces: ['rerank'], engine: order });
  await llm.serve({ endpoint: 'k.classify.generate', model, name: 'sort', input: 'text', surfaces: ['classify'], engine: classify });
  frontend = await llm.frontend({ http: { host: '127.0.0.1', port: 0 } });
  openai = new OpenAI({ baseURL: `${frontend.address}/v1`, apiKey: 'none', maxRetries: 0 });
  await vi.waitFor(() => expect(frontend.models).toHaveLength(4), 10_000);
});

afterAll(async () => {
  await frontend[Symbol.asyncDispose]();
  await runtime[Symbol.asyncDispose]();
});

test('a client of OpenAI gets its embeddings, as bytes by default and as numbers', async () => {
  // Its default is base64, which it decodes itself.
  const { data, usage } = await openai.embeddings.create({ model: 'emb', input: ['hello', 'yo'] });
  expect(data.map(({ embedding }) => embedding)).toEqual([
    [5, 2.5],
    [2, 1],
  ]);
  expect(usage).toEqual({ prompt_tokens: 7, total_tokens: 7 });
  const plain = await openai.embeddings.create({ model: 'emb', input: [[1, 2, 3]], encoding_format: 'float' });
  expect(plain.data[0]?.embedding).toEqual([3, 1.5]);
  await expect(openai.embeddings.create({ model: 'talk', input: 'x' })).rejects.toMatchObject({ status: 404 });
});

test('a worker that brings its own tokenizer talks through the chat route', async () => {
  const messages = [{ role: 'user' as const, content: 'one two' }];
  const whole = await openai.chat.completions.create({ model: 'talk', messages });
  expect(whole.choices[0]).toMatchObject({ finish_reason: 'stop', message: { content: 'one two ', role: 'assistant' } });
  let text = '';
  for await (const chunk of await openai.chat.completions.create({ model: 'talk', messages, stream: true })) {
    text += chunk.choices[0]?.delta.content ?? '';
  }
  expect(text).toBe('one two ');
});

const post = async (path: string, body: object): Promise<unknown> =>
  (await fetch(frontend.address + path, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })).json();

test('documents are ordered and texts sorted', async () => {
  expect(await post('/v1/rerank', { model: 'order', query: 'b', documents: ['a', 'b'] })).toEqual([
    { index: 1, score: 1 },
    { index: 0, score: 0.25 },
  ]);
  expect(await post('/v1/classify', { model: 'sort', input: ['a', 'long one'] })).toMatchObject({ data: [{ label: 'short' }, { label: 'long' }] });
});

test('each kind is counted under its route, and embeddings are timed', async () => {
  const text = await (await fetch(`${frontend.address}/metrics`)).text();
  const counted = (endpoint: string, model: string): string =>
    `dynamo_frontend_requests_total{endpoint="${endpoint}",error_type="",model="${model}",request_type="unary",status="success"} `;
  expect(text).toContain(`${counted('embeddings', 'emb')}2\n`);
  expect(text).toContain(`${counted('rerank', 'order')}1\n`);
  expect(text).toContain(`${counted('classify', 'sort')}1\n`);
  expect(text).toContain('dynamo_frontend_embedding_latency_seconds_count{model="emb"} 2\n');
  expect(text).toContain('dynamo_frontend_inflight_requests{model="order"} 0\n');
});
