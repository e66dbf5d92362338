import Anthropic from '@anthropic-ai/sdk';
import { execFile, spawnSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Engine, Frontend } from '@dynamo/llm';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { findClientPython } from './clients/python.ts';
import { findPython } from './python.ts';
import { bothFrontends } from './both-frontends.ts';
import { ids, promptOf } from './tiny-model.ts';
import { weatherEngine } from './weather-engine.ts';

const found = findPython();
const python = 'path' in found ? found.path : '';
if ('missing' in found) console.warn(`skipped: ${found.missing}`);
/** The Python that has the `anthropic` package, or why there is none. */
function findPythonClient(): { path: string } | { missing: string } {
  const clients = findClientPython();
  if ('missing' in clients) return clients;
  const probe = spawnSync(clients.path, ['-c', 'import anthropic']);
  return probe.status === 0 ? clients : { missing: `no package 'anthropic' for ${clients.path}: run test/interop/make-env.sh` };
}
const pythonClient = findPythonClient();
if ('missing' in pythonClient) console.warn(`skipped: ${pythonClient.missing}`);

const weather = weatherEngine();

/** Reads a file by the tool of a coding assistant, and tells the word in it; else it is the weather's engine. */
const engine: Engine = async function* (request, context) {
  const prompt = promptOf(request.tokenIds);
  const word = /secret word is (\w+)/.exec(prompt)?.[1];
  const file = /read the file (\S+)/.exec(prompt)?.[1];
  if (word !== undefined) yield { tokenIds: ids(`The word is ${word}.`), finishReason: 'stop' };
  else if (file !== undefined && prompt.includes('"name": "Read"')) {
    const call = JSON.stringify({ name: 'Read', arguments: { file_path: file } });
    yield { tokenIds: ids(`<tool_call>${call}</tool_call>`), finishReason: 'stop' };
  } else yield* weather.engine(request, context);
};

/** A coding assistant's command-line client, which nobody gets unasked: `CODING_ASSISTANT=…/claude`. */
const assistant = process.env['CODING_ASSISTANT'] ?? '';
if (assistant === '') console.warn('not run: a coding assistant that reads a file, for which CODING_ASSISTANT is not set');

const user = (content: string): Anthropic.MessageParam => ({ role: 'user', content });
const weatherTool: Anthropic.Tool = {
  name: 'weather',
  description: 'Tells the weather',
  input_schema: { type: 'object', properties: { city: { type: 'string' } } },
};

describe.skipIf('missing' in found)("Anthropic's own client, our frontend beside the real one, on a worker of ours", () => {
  const stack = new AsyncDisposableStack();
  let ours: Frontend;
  let real = '';

  beforeAll(async () => {
    const both = stack.use(await bothFrontends(python, engine, { http: { messages: { enabled: true } }, args: ['--enable-anthropic-api'] }));
    ours = both.ours;
    real = both.real;
  });
  afterAll(() => stack.disposeAsync());

  const client = (which: 'ours' | 'real'): Anthropic =>
    new Anthropic({ apiKey: 'none', baseURL: which === 'ours' ? ours.address : real, maxRetries: 0 });

  describe.each(['ours', 'real'] as const)('%s', (which) => {
    test('a message, whole and streamed', async () => {
      const asked = { model: 'tiny', max_tokens: 100, messages: [user('hello')] };
      const whole = await client(which).messages.create(asked);
      expect(whole.content).toEqual([
        { type: 'thinking', thinking: 'well', signature: '' },
        { type: 'text', text: 'Hé 日本!' },
      ]);
      expect([whole.stop_reason, whole.usage.output_tokens > 5]).toEqual(['end_turn', true]);
      const streamed = client(which).messages.stream(asked);
      const seen: string[] = [];
      streamed.on('text', (piece) => seen.push(piece));
      const last = await streamed.finalMessage();
      expect(last.content).toEqual([
        { type: 'thinking', thinking: 'well', signature: 'erased' },
        { type: 'text', text: 'Hé 日本!' },
      ]);
      expect([seen.join(''), last.stop_reason]).toEqual(['Hé 日本!', 'end_turn']);
      expect([last.usage.input_tokens, last.usage.output_tokens]).toEqual([whole.usage.input_tokens, whole.usage.output_tokens]);
    });

    test.each([false, true])('a loop with a tool, streamed: %s', async (stream) => {
      const messages: Anthropic.MessageParam[] = [user('what is the weather?')];
      const ask = async (): Promise<Anthropic.Message> => {
        const asked = { model: 'tiny', max_tokens: 100, messages, tools: [weatherTool] };
        return stream ? client(which).messages.stream(asked).finalMessage() : client(which).messages.create(asked);
      };
      const call = await ask();
      const use = call.content.find((block) => block.type === 'tool_use');
      expect([call.stop_reason, use?.name, use?.input]).toEqual(['tool_use', 'weather', { city: 'Bern' }]);
      messages.push({ role: 'assistant', content: call.content });
      messages.push({ role: 'user', content: [{ type: 'tool_result', tool_use_id: use?.id ?? '', content: 'rain in Bern' }] });
      const answer = await ask();
      expect(answer.content.find((block) => block.type === 'text')?.text).toBe('I see rain in Bern.');
    });

    test('errors are of the types that the client knows', async () => {
      const of = async (change: object): Promise<unknown> =>
        client(which)
          .messages.create({ model: 'tiny', max_tokens: 10, messages: [user('x')], ...change })
          .catch((error: unknown) => error);
      expect(await of({ model: 'nobody' })).toBeInstanceOf(Anthropic.NotFoundError);
      expect(await of({ max_tokens: 0 })).toBeInstanceOf(Anthropic.BadRequestError);
      expect(await of({ messages: [user('fail midway')] })).toBeInstanceOf(Anthropic.InternalServerError);
      const broken = client(which).messages.stream({ model: 'tiny', max_tokens: 10, messages: [user('fail midway')] });
      let text = '';
      broken.on('text', (piece) => (text += piece));
      const error = (await broken.finalMessage().catch((thrown: unknown) => thrown)) as Error;
      expect([text, error.message.includes('secret'), error.message.includes('Internal server error')]).toEqual(['Hé 日本!', false, true]);
    });

    test('a client that leaves is heard by the worker', async () => {
      const before = weather.cancelled;
      const stream = client(which).messages.stream({ model: 'tiny', max_tokens: 4_000, messages: [user('slowly')] });
      await new Promise<void>((resolve) => stream.once('text', () => resolve()));
      stream.abort();
      await stream.done().catch(() => {});
      await vi.waitFor(() => expect(weather.cancelled).toBe(before + 1), 10_000);
    });

    test.skipIf('missing' in pythonClient)("Anthropic's client for Python: whole, streamed, with tools, refused, failing, leaving", async () => {
      const before = weather.cancelled;
      const command = 'path' in pythonClient ? pythonClient.path : '';
      const peer = fileURLToPath(new URL('peers/py_messages.py', import.meta.url));
      const { stdout } = await promisify(execFile)(command, [peer, which === 'ours' ? ours.address : real, 'tiny']);
      const said = [
        ['thinking', 'well'],
        ['text', 'Hé 日本!'],
      ];
      expect(JSON.parse(stdout)).toEqual({
        whole: [said, 'end_turn', true],
        streamed: ['Hé 日本!', true, said, 'end_turn'],
        loop: ['tool_use', { city: 'Bern' }, 'I see rain in Bern.'],
        runner: 'I see rain in Bern.',
        unknown: ['NotFoundError', 404, 'not_found_error'],
        bad: ['BadRequestError', 400, 'invalid_request_error'],
        fault: ['InternalServerError', 500, 'api_error'],
        midway: ['Hé 日本!', 'api_error'],
        count: 5,
        models: ['tiny'],
      });
      await vi.waitFor(() => expect(weather.cancelled).toBe(before + 1), 10_000);
    });

    test('lengths are guessed and models listed', async () => {
      const { input_tokens: tokens } = await client(which).messages.countTokens({
        model: 'tiny',
        messages: [user('hello there')],
        tools: [weatherTool],
      });
      expect(tokens).toBe(32);
      const [model] = (await client(which).models.list()).data;
      expect([model?.id, model?.type]).toEqual(['tiny', 'model']);
    });
  });

  test.each(assistant === '' ? [] : [assistant])('a coding assistant reads a file by its own tool: %s', { timeout: 120_000 }, async (command) => {
    const home = await mkdtemp(join(tmpdir(), 'dynamo-assistant-'));
    const note = join(home, 'note.txt');
    await writeFile(note, 'The secret word is heron.\n');
    const env = {
      PATH: process.env['PATH'],
      HOME: home,
      ANTHROPIC_BASE_URL: ours.address,
      ANTHROPIC_API_KEY: 'none',
      ANTHROPIC_SMALL_FAST_MODEL: 'tiny',
      CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
    };
    const args = ['-p', `read the file ${note} and tell me its word`, '--model', 'tiny', '--allowedTools', 'Read', '--output-format', 'json'];
    const running = promisify(execFile)(command, args, { cwd: home, env });
    running.child.stdin?.end();
    const { stdout } = await running;
    expect((JSON.parse(stdout) as { result: string }).result).toBe('The word is heron.');
    await rm(home, { recursive: true });
  });
});
