// Two OpenAI servers that run already become one service: no other process, no discovery, routed by cache. With
// VLLM_URLS=http://…,http://… these are yours; without it two small ones stand in.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { openStandIn } from './stand-in.ts';

await using stack = new AsyncDisposableStack();
const yours = process.env['VLLM_URLS']?.split(',');
const standIns = yours === undefined ? [stack.use(await openStandIn()), stack.use(await openStandIn())] : [];
const upstreams = yours ?? standIns.map(({ url }) => url);

// dynamo frontend --router-mode kv --upstream http://… --upstream http://…
const command = fileURLToPath(new URL('../../tools/cli/src/main.ts', import.meta.url));
const flags = ['--http-host', '127.0.0.1', '--http-port', '0', '--router-mode', 'kv', ...upstreams.flatMap((url) => ['--upstream', url])];
const frontend = spawn(process.execPath, ['--conditions=@dynamo/source', command, 'frontend', ...flags], { stdio: ['ignore', 'pipe', 'ignore'] });
stack.defer(async () => {
  frontend.kill('SIGTERM');
  if (frontend.exitCode === null) await once(frontend, 'exit');
});
const address = await new Promise<string>((resolve, reject) => {
  let output = '';
  frontend.stdout.on('data', (text: Buffer) => {
    output += text.toString();
    const found = /listens on (http:\S+): /.exec(output)?.[1];
    if (found !== undefined) resolve(found);
  });
  frontend.once('exit', (code) => reject(new Error(`the frontend ended with ${code}`)));
});

interface Model {
  readonly id: string;
}
/** Each upstream says itself which model it has. */
async function modelName(): Promise<string> {
  while (true) {
    const { data } = (await (await fetch(`${address}/v1/models`)).json()) as { data: readonly Model[] };
    if (data[0] !== undefined) return data[0].id;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
const model = await modelName();

interface Message {
  readonly role: string;
  readonly content: string;
}
interface Answer {
  readonly choices: readonly { readonly message: Message }[];
  readonly usage: { readonly prompt_tokens: number; readonly prompt_tokens_details?: { readonly cached_tokens?: number } };
}
async function chat(messages: readonly Message[]): Promise<Answer> {
  const response = await fetch(`${address}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model, messages, max_tokens: 8 }),
  });
  assert.equal(response.status, 200, await response.clone().text());
  return (await response.json()) as Answer;
}

// Two conversations of two turns: each second turn begins with all of the first.
let cached = 0;
for (const subject of ['rivers', 'mountains']) {
  const question: Message = { role: 'user', content: `Tell me about ${subject}. `.repeat(20) };
  const first = await chat([question]);
  const reply = first.choices[0]?.message ?? { role: 'assistant', content: '' };
  const second = await chat([question, { role: 'assistant', content: reply.content }, { role: 'user', content: 'And then?' }]);
  cached += second.usage.prompt_tokens_details?.cached_tokens ?? 0;
}
if (yours === undefined) assert.ok(cached > 100, 'each second turn has gone to the server that had the first one');
console.log(`model ${model} of ${upstreams.length} servers: second turns found their first ones in the cache: ${cached > 0}`);
