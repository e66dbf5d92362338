// An engine, served as a model and asked through the frontend with the openai client. No download: its tokens are bytes.
import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { Llm } from '@dynamo/llm';
import { DistributedRuntime } from '@dynamo/runtime';
import { OpenAI } from 'openai';

await using runtime = await DistributedRuntime.connect({ discovery: 'mem' });
const llm = new Llm(runtime);
const model = fileURLToPath(new URL('../../vectors/llm/model-tiny', import.meta.url));
const letters = [...Buffer.from('abcdefghijklmnopqrstuvwxyz')];
await using served = await llm.serve({
  endpoint: 'demo.backend.generate',
  model,
  name: 'alphabet',
  // Says the alphabet as far as it is asked to, one token after the other.
  engine: async function* (request, { signal }) {
    const wanted = letters.slice(0, request.stop?.maxTokens ?? letters.length);
    for (const [index, id] of wanted.entries()) {
      if (signal.aborted) return;
      const last = index === wanted.length - 1;
      yield last ? { tokenIds: [id], finishReason: wanted.length < letters.length ? 'length' : 'stop' } : { tokenIds: [id] };
    }
  },
});
await using frontend = await llm.frontend({ http: { host: '127.0.0.1', port: 0 } });
while (!frontend.models.includes('alphabet')) await new Promise((resolve) => setTimeout(resolve, 10));

const client = new OpenAI({ baseURL: `${frontend.address}/v1`, apiKey: 'none' });
const messages = [{ role: 'user' as const, content: 'Go on!' }];
const answer = await client.chat.completions.create({ model: 'alphabet', messages, max_tokens: 5 });
console.log(answer.choices[0]?.message.content, answer.choices[0]?.finish_reason);
assert.equal(answer.choices[0]?.message.content, 'abcde');
assert.equal(answer.choices[0]?.finish_reason, 'length');

let streamed = '';
for await (const chunk of await client.chat.completions.create({ model: 'alphabet', messages, stream: true }))
  streamed += chunk.choices[0]?.delta.content ?? '';
console.log(streamed);
assert.equal(streamed, 'abcdefghijklmnopqrstuvwxyz');
assert.equal(served.instance.namespace, 'demo');
