// An engine in the same process as its frontend: no worker, no discovery, no port. The program asks it directly.
import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { type Engine, Llm } from '@dynamo/llm';
import { DistributedRuntime } from '@dynamo/runtime';

/** Answers a greeting, and counts for as long as somebody listens where the prompt ends in `!`. Its tokens are bytes. */
const engine: Engine = async function* ({ tokenIds }, { signal }) {
  if (tokenIds.at(-1) === 33) {
    for (let count = 1; !signal.aborted; count++) yield { tokenIds: [...Buffer.from(`${count} `)] };
    return;
  }
  yield { tokenIds: [...Buffer.from('Hello world!')], finishReason: 'stop' };
};

await using runtime = await DistributedRuntime.connect({ discovery: 'mem' });
const model = fileURLToPath(new URL('../../vectors/llm/model-tiny', import.meta.url));
await using frontend = await new Llm(runtime).frontend({
  http: false,
  engine: { model, name: 'alphabet', run: engine },
  routes: [{ path: '/name', answer: ({ models }) => models[0] }],
});

let text = '';
for await (const { choices } of frontend.chat({ model: 'alphabet', messages: [{ role: 'user', content: 'Hi' }] }))
  text += choices[0]?.delta.content ?? '';
console.log(text);
assert.equal(text, 'Hello world!');

// Leaving the loop stops the engine.
let counted = '';
for await (const { choices } of frontend.complete({ model: 'alphabet', prompt: 'Count!' })) {
  counted += choices[0]?.text ?? '';
  if (counted.startsWith('1 2 3')) break;
}
console.log(`counting: ${counted.slice(0, 5)}`);

// What fails is a DynamoError with a code, as everywhere.
const failing = async (): Promise<void> => {
  for await (const chunk of frontend.complete({ model: 'nobody', prompt: 'x' })) assert.fail(chunk.id);
};
await assert.rejects(failing, { name: 'DynamoError', code: 'not_found' });

// All of HTTP is there without a socket, the program's own routes too.
const health = await frontend.inject({ path: '/health' });
console.log(`/health: ${health.status}`);
const own = await frontend.inject({ path: '/name' });
console.log(`/name: ${JSON.parse(own.body)}`);
