import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { OpenAI } from 'openai';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bannerEnd, dynamo, interruptGroup, npmStart, readBanner, type Running } from './command.ts';

const shell = (line: string) => promisify(execFile)('sh', ['-c', line], { env: { PATH: process.env['PATH'] ?? '' } });
const clientOf = (url: string): OpenAI => new OpenAI({ baseURL: `${url}/v1`, apiKey: 'none', maxRetries: 0 });
const ask = (content: string) => ({ model: 'echo', messages: [{ role: 'user' as const, content }] });
const alive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};

describe('dynamo serve', () => {
  let stack: Running;
  let banner: ReturnType<typeof readBanner>;
  let client: OpenAI;
  beforeAll(async () => {
    stack = dynamo(['serve', '--http-port', '0', '--delay-ms', '5']);
    await stack.said(bannerEnd);
    banner = readBanner(stack.stdout);
    client = clientOf(banner.url);
  });
  afterAll(() => stack[Symbol.asyncDispose]());

  test('it shows its progress, and then what runs where', () => {
    expect(stack.stderr).toContain('starting 2 workers');
    expect(stack.stderr).toContain('worker 1 of 2 is ready at 127.0.0.1:');
    expect(stack.stderr).toContain('worker 2 of 2 is ready at 127.0.0.1:');
    expect(banner.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    expect(banner.pids.every(alive)).toBe(true);
    expect(banner.pids).toHaveLength(2);
  });

  test("the banner's curl line works as it stands", async () => {
    const { stdout } = await shell(banner.curls[0] ?? '');
    const answer = JSON.parse(stdout) as { choices: { message: { content: string }; finish_reason: string }[] };
    expect(answer.choices[0]).toMatchObject({ message: { role: 'assistant', content: 'Hello! Every word comes back.' }, finish_reason: 'stop' });
  });

  test('its second line streams', async () => {
    const { stdout } = await shell(banner.curls[1] ?? '');
    const events = stdout.split('\n\n').filter((event) => event.startsWith('data: {'));
    const text = events.map((event) => (JSON.parse(event.slice(6)) as OpenAI.ChatCompletionChunk).choices[0]?.delta.content ?? '').join('');
    expect(text).toBe('One token after the other.');
    expect(events.length).toBeGreaterThan(5);
    expect(stdout.trimEnd().endsWith('data: [DONE]')).toBe(true);
  });

  test('unary, with usage', async () => {
    const answer = await client.chat.completions.create(ask('Hé 日本, how are you?'));
    expect(answer.choices[0]).toMatchObject({ message: { content: 'Hé 日本, how are you?' }, finish_reason: 'stop' });
    expect(answer.usage?.total_tokens).toBe((answer.usage?.prompt_tokens ?? 0) + (answer.usage?.completion_tokens ?? 0));
    expect(answer.usage?.completion_tokens).toBeGreaterThan(5);
  });

  test('streamed, of a longer conversation', async () => {
    const messages = [
      { role: 'system' as const, content: 'Be kind.' },
      { role: 'user' as const, content: 'first' },
      { role: 'assistant' as const, content: 'reply' },
      { role: 'user' as const, content: 'and this is the last thing I say' },
    ];
    let text = '';
    let finish: string | null | undefined;
    for await (const chunk of await client.chat.completions.create({ model: 'echo', messages, stream: true })) {
      text += chunk.choices[0]?.delta.content ?? '';
      finish = chunk.choices[0]?.finish_reason ?? finish;
    }
    expect(text).toBe('and this is the last thing I say');
    expect(finish).toBe('stop');
  });

  test('max_tokens, a stop string and a plain completion', async () => {
    const cut = await client.chat.completions.create({ ...ask('one two three four five six seven'), max_tokens: 3 });
    expect(cut.choices[0]?.finish_reason).toBe('length');
    expect(cut.usage?.completion_tokens).toBe(3);
    const stopped = await client.chat.completions.create({ ...ask('keep this STOP not this'), stop: 'STOP' });
    expect(stopped.choices[0]).toMatchObject({ message: { content: 'keep this ' }, finish_reason: 'stop' });
    const plain = await client.completions.create({ model: 'echo', prompt: 'Once upon a time' });
    expect(plain.choices[0]?.text).toBe('Once upon a time');
  });

  test('the model is listed, an unknown one is refused', async () => {
    expect((await client.models.list()).data.map(({ id }) => id)).toEqual(['echo']);
    await expect(client.chat.completions.create({ ...ask('x'), model: 'nope' })).rejects.toMatchObject({ status: 404 });
  });

  test('twenty clients at once', async () => {
    const texts = Array.from({ length: 20 }, (_, index) => `this is client number ${index}`);
    const answers = await Promise.all(texts.map((text) => client.chat.completions.create(ask(text))));
    expect(answers.map((answer) => answer.choices[0]?.message.content)).toEqual(texts);
  });

  test('a worker that dies is replaced', async () => {
    const [victim = 0, other = 0] = banner.pids;
    process.kill(victim, 'SIGKILL');
    await expect.poll(() => stack.stderr.match(/worker 1 of 2 is ready/g)?.length, { timeout: 10_000 }).toBe(2);
    expect(alive(other)).toBe(true);
    expect(stack.stderr).toContain('a worker has ended: starting it again');
    // The files of the dead one expire after ten seconds; until then calls to it fail over or fail, and it is quarantined.
    await expect
      .poll(async () => (await client.chat.completions.create(ask('still here')).catch(() => undefined))?.choices[0]?.message.content, {
        timeout: 10_000,
      })
      .toBe('still here');
  });
});

describe('ending', () => {
  test.each(['SIGINT', 'SIGTERM'] as const)('%s lets a running stream end, and then exits with 0 and leaves nothing', async (signal) => {
    await using stack = dynamo(['serve', '--http-port', '0', '--delay-ms', '50', '--workers', '1']);
    await stack.said(bannerEnd);
    const { url, root, pids } = readBanner(stack.stdout);
    expect(existsSync(root)).toBe(true);
    const content = 'a sentence that takes about a second to come back, as it has so many words';
    let text = '';
    for await (const chunk of await clientOf(url).chat.completions.create({ ...ask(content), stream: true })) {
      if (text === '') stack.child.kill(signal);
      text += chunk.choices[0]?.delta.content ?? '';
    }
    expect(text).toBe(content);
    expect(await stack.ended).toEqual([0, null]);
    expect(existsSync(root)).toBe(false);
    expect(pids.filter(alive)).toEqual([]);
  });

  test('a second signal exits at once, and takes the workers along', async () => {
    await using stack = dynamo(['serve', '--http-port', '0', '--delay-ms', '2000', '--workers', '1']);
    await stack.said(bannerEnd);
    const { url, root, pids } = readBanner(stack.stdout);
    const cut = clientOf(url)
      .chat.completions.create(ask('this would take a minute or so, one token every two seconds'))
      .catch((error: unknown) => error);
    await sleep(300);
    stack.child.kill('SIGINT');
    await sleep(700);
    stack.child.kill('SIGINT');
    expect(await stack.ended).toEqual([130, null]);
    expect(await cut).toBeInstanceOf(Error);
    expect(existsSync(root)).toBe(false);
    // Nobody but the init process is left to collect them, and some take a second or two to look.
    await expect.poll(() => pids.filter(alive), { timeout: 10_000 }).toEqual([]);
  });

  test('workers end when the command is killed', async () => {
    await using stack = dynamo(['serve', '--http-port', '0']);
    await stack.said(bannerEnd);
    const { pids } = readBanner(stack.stdout);
    expect(pids).toHaveLength(2);
    stack.child.kill('SIGKILL');
    await expect.poll(() => pids.filter(alive), { timeout: 10_000 }).toEqual([]);
  });
});

test('npm start answers, and one Ctrl-C ends it all with 0', async () => {
  await using stack = npmStart(['--http-port', '0']);
  await stack.said(bannerEnd);
  const { curls, url, pids } = readBanner(stack.stdout);
  expect((await shell(curls[0] ?? '')).stdout).toContain('Hello! Every word comes back.');
  const stream = await clientOf(url).chat.completions.create({ ...ask('these words still arrive after Ctrl-C'), stream: true });
  let text = '';
  for await (const chunk of stream) {
    if (text === '') interruptGroup(stack);
    text += chunk.choices[0]?.delta.content ?? '';
  }
  expect(text).toBe('these words still arrive after Ctrl-C');
  expect(await stack.ended).toEqual([0, null]);
  expect(pids.filter(alive)).toEqual([]);
}, 60_000);

test('a frontend and a worker apart find each other', async () => {
  const root = await mkdtemp(join(tmpdir(), 'dynamo-e2e-'));
  const env = { DYN_FILE_KV: root, DYN_TCP_RPC_HOST: '127.0.0.1', DYN_TCP_RESPONSE_STREAM_HOST: '127.0.0.1' };
  try {
    await using frontend = dynamo(['frontend', '--http-host', '127.0.0.1', '--http-port', '0', '--namespace', 'apart'], env);
    await using worker = dynamo(['worker', '--namespace', 'apart', '--model-name', 'parrot', '--delay-ms', '0'], env);
    await Promise.all([frontend.said('/v1/models'), worker.said('serves apart.backend.generate')]);
    const client = clientOf(/listens on (\S+):/.exec(frontend.stdout)?.[1] ?? '');
    await expect.poll(async () => (await client.models.list()).data.map(({ id }) => id), { timeout: 10_000 }).toEqual(['parrot']);
    expect((await client.chat.completions.create({ ...ask('hello'), model: 'parrot' })).choices[0]?.message.content).toBe('hello');
    worker.child.kill('SIGINT');
    expect(await worker.ended).toEqual([0, null]);
    await expect.poll(async () => (await client.models.list()).data, { timeout: 10_000 }).toEqual([]);
    frontend.child.kill('SIGTERM');
    expect(await frontend.ended).toEqual([0, null]);
  } finally {
    await rm(root, { recursive: true, force: true });
  }
});
