// An endpoint and its client, in one process: serve, stream, leave early.
import assert from 'node:assert/strict';
import { DistributedRuntime } from '@dynamo/runtime';

await using runtime = await DistributedRuntime.connect({ discovery: 'mem' });
await using served = await runtime.serve('demo.backend.generate', async function* (request: string) {
  for (const word of request.split(',')) yield `Hello ${word}!`;
});

await using client = await runtime.client<string, string>('demo.backend.generate');
await client.ready();

const greetings: string[] = [];
for await (const greeting of client.generate('world,sun,moon')) {
  console.log(greeting);
  greetings.push(greeting);
}
assert.deepEqual(greetings, ['Hello world!', 'Hello sun!', 'Hello moon!']);

for await (const greeting of client.generate('world,sun')) {
  assert.equal(greeting, 'Hello world!');
  break; // leaving the loop stops the worker
}
assert.equal(client.instances[0]?.id, served.instance.id);
