// A worker offers an adapter of its model: clients ask for it by its name, the engine is told which one a request is for.
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Llm, type TokenRequest } from '@dynamo/llm';
import { DistributedRuntime } from '@dynamo/runtime';

const model = fileURLToPath(new URL('../../vectors/llm/model-tiny', import.meta.url));
const adapter = await mkdtemp(join(tmpdir(), 'shouting-'));
await writeFile(join(adapter, 'adapter_config.json'), '{"peft_type":"LORA","r":8}');
await writeFile(join(adapter, 'adapter_model.safetensors'), new Uint8Array(8));

await using runtime = await DistributedRuntime.connect({ discovery: 'mem' });
const llm = new Llm(runtime);
await using served = await llm.serve({
  endpoint: 'demo.backend.generate',
  model,
  name: 'base',
  // The test model's tokens are bytes. An adapter that shouts:
  engine: async function* ({ routing }: TokenRequest) {
    const answer = routing?.['lora_name'] === 'shouting' ? 'HELLO' : 'hello';
    yield { tokenIds: [...Buffer.from(answer)] };
    yield { tokenIds: [], finishReason: 'stop' as const };
  },
});
await using frontend = await llm.frontend({ http: false });

const settled = async (models: readonly string[]): Promise<void> => {
  while (frontend.models.toSorted().join() !== models.join()) await new Promise((resolve) => setTimeout(resolve, 10));
};
const ask = async (name: string): Promise<string> => {
  let text = '';
  for await (const chunk of frontend.chat({ model: name, messages: [{ role: 'user', content: 'Say hello' }] }))
    text += chunk.choices[0]?.delta?.content ?? '';
  return text;
};

{
  await using shouting = await served.addLora({ name: 'shouting', path: adapter });
  await settled(['base', 'shouting']);
  console.log('models:', frontend.models.toSorted().join(', '));
  for (const name of ['base', 'shouting']) console.log(`${name}: ${await ask(name)}`);
  assert.deepEqual([await ask('base'), await ask('shouting')], ['hello', 'HELLO']);
  assert.ok(shouting);
}
await settled(['base']);
console.log('models:', frontend.models.join(', '));
await rm(adapter, { recursive: true });
