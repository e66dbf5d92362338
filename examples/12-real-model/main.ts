// A real model on this processor: two workers of a GGUF file, routed by cache. The second turn of a conversation goes where the first
// one was and finds it there. GGUF_FILE=… is yours; else it is the small one that test/interop/make-llama.sh fetches.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const fetched = here('../../test/interop/.llama');
const gguf = process.env['GGUF_FILE'] ?? `${fetched}/model.gguf`;
if (!existsSync(gguf)) {
  console.error(`there is no ${gguf}: run test/interop/make-llama.sh, or set GGUF_FILE and npm install node-llama-cpp`);
  process.exit(1);
}

await using stack = new AsyncDisposableStack();
// dynamo serve --model FILE.gguf --router-mode kv
const flags = ['--model', gguf, '--model-name', 'small', '--router-mode', 'kv', '--http-host', '127.0.0.1', '--http-port', '0'];
const size = ['--context-length', '512', '--sequences', '2'];
const serve = spawn(process.execPath, ['--conditions=@dynamo/source', here('../../tools/cli/src/main.ts'), 'serve', ...flags, ...size], {
  env: { ...(existsSync(fetched) ? { DYN_LLAMA_FOLDER: fetched } : {}), DYN_LOG: 'error', ...process.env },
  stdio: ['ignore', 'pipe', 'ignore'],
});
stack.defer(async () => {
  serve.kill('SIGTERM');
  if (serve.exitCode === null) await once(serve, 'exit');
});
const address = await new Promise<string>((resolve, reject) => {
  let output = '';
  serve.stdout.on('data', (text: Buffer) => {
    output += text.toString();
    const found = /frontend +(http:[^,\s]+)/.exec(output)?.[1];
    if (found !== undefined) resolve(found);
  });
  serve.once('exit', (code) => reject(new Error(`dynamo serve ended with ${code}`)));
});

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
    body: JSON.stringify({ model: 'small', messages, max_tokens: 24, temperature: 0 }),
  });
  assert.equal(response.status, 200, await response.clone().text());
  return (await response.json()) as Answer;
}

const conversation: Message[] = [{ role: 'system', content: 'Be brief.' }];
for (const content of ['What is 2 + 2?', 'And 3 + 3?']) {
  conversation.push({ role: 'user', content });
  const { choices, usage } = await chat(conversation);
  const reply = choices[0]?.message ?? { role: 'assistant', content: '' };
  conversation.push({ role: 'assistant', content: reply.content });
  const { prompt_tokens: prompt, prompt_tokens_details: details } = usage;
  console.log(`${content} ${reply.content.replaceAll(/\s+/g, ' ')} (${details?.cached_tokens ?? 0} of ${prompt} tokens were cached)`);
}
