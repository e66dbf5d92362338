import { readFileSync } from 'node:fs';
import { DistributedRuntime } from '@dynamo/runtime';
import { expect, test, vi } from 'vitest';
import { Llm } from '../llm.ts';
import { scriptedWorker } from '../testing/scripted-worker.ts';

const captured = JSON.parse(readFileSync(new URL('../../../../vectors/llm/http/dispatch.json', import.meta.url), 'utf8')) as {
  worker_chunks_text: string[];
  sse: string[];
  unary: unknown;
};

const normal = (text: string): string =>
  text.replace(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g, '<uuid>').replace(/"created":\d+/g, '"created":0');

test('calls and thoughts in events of their own, under another name, as captured', async () => {
  await using runtime = await DistributedRuntime.connect({ discovery: 'mem' });
  await using worker = await scriptedWorker(runtime, 'both', { parsers: { tools: 'hermes', reasoning: 'qwen3' } });
  await using frontend = await new Llm(runtime).frontend({
    http: { host: '127.0.0.1', port: 0, reasoningField: 'reasoning', dispatch: { calls: true, thoughts: true } },
  });
  await vi.waitFor(() => expect(frontend.models).toEqual(['both']), 10_000);
  worker.script = [...captured.worker_chunks_text.map((text) => ({ _textall: text })), { token_ids: [], finish_reason: 'stop' }];
  const tools = [{ type: 'function', function: { name: 'f', parameters: { type: 'object', properties: { a: { type: 'string' } } } } }];
  const ask = async (stream: boolean): Promise<string> => {
    const body = JSON.stringify({ model: 'both', messages: [{ role: 'user', content: 'hi' }], tools, stream });
    const response = await fetch(`${frontend.address}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
    });
    return normal(await response.text());
  };
  expect((await ask(true)).split('\n\n').filter(Boolean)).toEqual(captured.sse);
  const { usage, ...whole } = JSON.parse(await ask(false));
  const { usage: there, ...wholeThere } = captured.unary as { usage: Record<string, unknown> };
  expect(whole).toEqual(wholeThere);
  // The prompt of the capture is not recorded.
  expect({ ...usage, prompt_tokens: 0, total_tokens: 0 }).toEqual({ ...there, prompt_tokens: 0, total_tokens: 0 });
});
