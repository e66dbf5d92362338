import { appendFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Engine, type Frontend, Llm } from '@dynamo/llm';
import { DistributedRuntime, DynamoError } from '@dynamo/runtime';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { bundledModel } from '../model-folder.ts';
import { runBatch, summaryLine } from './batch.ts';

/** Says the last token of the prompt as often as it may; fails where it may say seven. */
const engine: Engine = async function* ({ tokenIds, stop }) {
  asked++;
  const most = stop?.maxTokens ?? 2;
  if (most === 7) throw new DynamoError('resource_exhausted', 'seven is too many');
  for (let count = 1; count <= most; count++) yield { tokenIds: tokenIds.slice(-1), ...(count === most ? { finishReason: 'length' as const } : {}) };
};

let asked = 0;
let folder: string;
let runtime: DistributedRuntime;
let frontend: Frontend;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'dynamo-batch-'));
  runtime = await DistributedRuntime.connect({ discovery: 'mem' });
  frontend = await new Llm(runtime).frontend({ http: false, engine: { model: bundledModel, name: 'm', run: engine } });
});
afterAll(async () => {
  await runtime[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

const options = (name: string) => ({
  file: join(folder, `${name}.jsonl`),
  output: join(folder, `${name}.out.jsonl`),
  resume: true,
  concurrency: 3,
  model: 'm',
  signal: new AbortController().signal,
});
const lines = async (path: string): Promise<any[]> =>
  (await readFile(path, 'utf8'))
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));

test('every kind of line is answered in its own form, and failures are lines too', async () => {
  const asks = options('kinds');
  const requests = [
    '{"text":"hi","tag":5}',
    '{"messages":[{"role":"user","content":"hi"}],"max_tokens":1}',
    '',
    '{"prompt":[65,66],"max_tokens":3}',
    '{"prompt":"x","max_tokens":7}',
    '{"custom_id":"c1","method":"POST","url":"/v1/completions","body":{"prompt":[65],"max_tokens":1}}',
    '{"custom_id":"c2","method":"POST","url":"/v1/completions","body":{"model":"other","prompt":"x"}}',
    '{"nothing":true}',
    'no json',
  ];
  await writeFile(asks.file, requests.join('\n'));
  const summary = await runBatch(frontend, asks);
  expect(summary).toMatchObject({ kept: 0, answered: 4, failed: 4, complete: true });
  const [text, chat, completion, failed, entry, unknown, empty, broken, ...none] = await lines(asks.output);
  expect(none).toEqual([]);
  expect(text).toMatchObject({ text: 'hi', tag: 5, tokens_out: 2, finish_reason: 'length', elapsed_ms: expect.any(Number) });
  expect(text.tokens_in).toBeGreaterThan(0);
  expect(chat).toMatchObject({ tokens_out: 1, response: expect.any(String), ttft_ms: expect.any(Number) });
  expect(completion).toMatchObject({ prompt: [65, 66], tokens_in: 2, tokens_out: 3 });
  expect(failed).toEqual({ prompt: 'x', max_tokens: 7, error: { code: 'resource_exhausted', message: 'seven is too many' } });
  expect(entry).toMatchObject({ custom_id: 'c1', response: { status_code: 200, body: { usage: { completion_tokens: 1 } } }, error: null });
  expect(unknown).toMatchObject({ custom_id: 'c2', response: { status_code: 404 }, error: { code: '404', message: 'Model not found' } });
  expect(empty.error.code).toBe('invalid_argument');
  expect(broken).toMatchObject({ input: 'no json', error: { code: 'invalid_argument' } });
  expect(summaryLine(summary)).toMatch(/^4 answered; 4 failed; \d+ tokens in, 7 out/);
});

test('what was cut off goes on where the output ends, half a line is done again', async () => {
  const asks = options('resumed');
  await writeFile(asks.file, Array.from({ length: 40 }, (_, at) => JSON.stringify({ prompt: [at], max_tokens: 1 })).join('\n'));
  const stop = new AbortController();
  let begun = 0;
  const stopping: Frontend = {
    ...frontend,
    complete(request, call) {
      if (++begun === 12) stop.abort();
      return frontend.complete(request, call);
    },
  };
  const first = await runBatch(stopping, { ...asks, signal: stop.signal });
  expect(first.complete).toBe(false);
  expect(summaryLine(first)).toContain('goes on from here');
  const before = first.answered === 0 ? [] : await lines(asks.output);
  expect(before).toHaveLength(first.answered);
  await appendFile(asks.output, '{"prompt":[');
  asked = 0;
  const second = await runBatch(frontend, asks);
  expect(second).toMatchObject({ kept: first.answered, answered: 40 - first.answered, complete: true });
  expect(asked).toBe(40 - first.answered);
  expect((await lines(asks.output)).map(({ prompt }) => prompt[0])).toEqual(Array.from({ length: 40 }, (_, at) => at));
  expect(await runBatch(frontend, asks)).toMatchObject({ kept: 40, answered: 0, complete: true });
  expect(await runBatch(frontend, { ...asks, resume: false })).toMatchObject({ kept: 0, answered: 40 });
  expect(await lines(asks.output)).toHaveLength(40);
});

test('a file that is not there, and one without requests', async () => {
  await expect(runBatch(frontend, options('missing'))).rejects.toThrow("missing.jsonl' can't be read");
  const empty = options('empty');
  await writeFile(empty.file, '\n\n');
  await expect(runBatch(frontend, empty)).rejects.toMatchObject({ code: 'invalid_argument' });
});
