// A file of requests, asked from the command line: here over an engine of the same process, else over the workers of a fleet.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const dynamo = fileURLToPath(new URL('../../tools/cli/src/main.ts', import.meta.url));
const folder = await mkdtemp(join(tmpdir(), 'batch-'));
await using stack = new AsyncDisposableStack();
stack.defer(() => rm(folder, { recursive: true }));

const file = join(folder, 'requests.jsonl');
const requests = [
  { text: 'one' },
  { messages: [{ role: 'user', content: 'two' }], max_tokens: 8 },
  { custom_id: '#3', method: 'POST', url: '/v1/completions', body: { prompt: 'three', max_tokens: 2 } },
];
await writeFile(file, requests.map((request) => JSON.stringify(request)).join('\n'));

/** Runs the batch; what it has to say goes to stderr. */
const run = async (): Promise<string> => {
  const args = ['--conditions=@dynamo/source', dynamo, 'run', '--in', `batch:${file}`, '--engine', 'echo', '--delay-ms', '0'];
  return (await promisify(execFile)(process.execPath, args, { env: { ...process.env, DYN_LOG: 'error' } })).stderr;
};

assert.match(await run(), /3 answered/);
const answers = (await readFile(join(folder, 'requests.out.jsonl'), 'utf8'))
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line) as { response: string; tokens_out: number; elapsed_ms: number });
assert.deepEqual(
  answers.slice(0, 2).map(({ response }) => response),
  ['one', 'two'],
);
assert.ok(answers.slice(0, 2).every(({ tokens_out: tokens, elapsed_ms: elapsed }) => tokens > 0 && elapsed >= 0));
console.log('one ->', answers[0]?.response);
console.log('two ->', answers[1]?.response);
const third = answers[2] as unknown as { custom_id: string; response: { status_code: number } };
console.log(third.custom_id, '->', third.response.status_code);

// The output is complete: nothing is asked again.
console.log('again:', /\d+ were there already/.exec(await run())?.[0]);
