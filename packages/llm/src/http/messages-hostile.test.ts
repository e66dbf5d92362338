import { DistributedRuntime } from '@dynamo/runtime';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { Frontend } from '../frontend/frontend.ts';
import { Llm } from '../llm.ts';
import { type ScriptStep, scriptedWorker, type ScriptedWorker } from '../testing/scripted-worker.ts';
import { odd as anywhere, random } from './testing/damage.ts';

let runtime: DistributedRuntime;
let frontend: Frontend;
let worker: ScriptedWorker;

beforeAll(async () => {
  runtime = await DistributedRuntime.connect({ discovery: 'mem' });
  worker = await scriptedWorker(runtime, 'm', { parsers: { tools: 'hermes', reasoning: 'qwen3' } });
  frontend = await new Llm(runtime).frontend({ bodyLimitMb: 2, http: { host: '127.0.0.1', port: 0, messages: { enabled: true } } });
  await vi.waitFor(() => expect(frontend.models).toEqual(['m']), 10_000);
});

afterAll(async () => {
  await frontend[Symbol.asyncDispose]();
  await runtime[Symbol.asyncDispose]();
});

const finish: ScriptStep = { token_ids: [], finish_reason: 'stop' };
const fine: readonly ScriptStep[] = [{ _text: 'fine' }, finish];

const ask = (body: unknown, path = '/v1/messages'): Promise<Response> =>
  fetch(frontend.address + path, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });

const said = (content: unknown, more: object = {}): object => ({ model: 'm', max_tokens: 50, messages: [{ role: 'user', content }], ...more });

/** What is told of a request that is refused: its status, the type and the message of the error. */
async function refused(body: unknown): Promise<[number, string, string]> {
  const response = await ask(body);
  const told = JSON.parse(await response.text()) as { type: string; error: { type: string; message: string } };
  expect([told.type, Object.keys(told)]).toEqual(['error', ['type', 'error']]);
  return [response.status, told.error.type, told.error.message];
}

interface Told {
  blocks: { type: string; text: string; name?: string }[];
  /** `message_stop` or `error`. */
  end: string;
  error?: { type: string; message: string };
  stopReason?: string | null;
}

/** Reads a stream by the grammar of the API, and fails where it is broken: one block is open at a time, and each is begun once. */
function readEvents(text: string): Told {
  const parts = text.split('\n\n');
  expect(parts.splice(-2)).toEqual(['data: [DONE]', '']);
  const told: Told = { blocks: [], end: '' };
  let open: number | undefined;
  for (const [at, part] of parts.entries()) {
    const [, name = '', data = ''] = /^event: (\w+)\ndata: (.*)$/.exec(part) ?? [];
    const event = JSON.parse(data) as any;
    expect([event.type, told.end]).toEqual([name, '']);
    expect(name === 'message_start').toBe(at === 0);
    if (name === 'content_block_start') {
      expect([open, event.index]).toEqual([undefined, told.blocks.length]);
      open = event.index as number;
      told.blocks.push({
        type: event.content_block.type,
        text: '',
        ...(event.content_block.name === undefined ? {} : { name: event.content_block.name }),
      });
    } else if (name === 'content_block_delta') {
      expect(event.index).toBe(open);
      expect([event.usage.input_tokens > 0, event.usage.output_tokens > 0]).toEqual([true, true]);
      const { text: piece, thinking, partial_json: json } = event.delta;
      (told.blocks[event.index] as { text: string }).text += piece ?? thinking ?? json ?? '';
    } else if (name === 'content_block_stop') {
      expect(event.index).toBe(open);
      open = undefined;
    } else if (name === 'message_delta') {
      expect(open).toBeUndefined();
      told.stopReason = event.delta.stop_reason;
    } else if (name === 'message_stop' || name === 'error') {
      told.end = name;
      if (name === 'error') told.error = event.error;
    }
  }
  return told;
}

describe('what is wrong in a request is told in the shape of the API', () => {
  const image = { type: 'image', source: { type: 'base64', media_type: 'image/png', data: 'AAAA' } };
  test.each<[string, unknown, RegExp]>([
    ['a block that is a text', ['x'], /messages\[0\]\.content\[0\]: content blocks must be objects/],
    ['a block that is a list', [[]], /content blocks must be objects/],
    ['a block without a type', [{ text: 'x' }], /content\[0\]\.type: must be a non-empty string/],
    ['a type that is a number', [{ type: 7 }], /content\[0\]\.type: must be a non-empty string/],
    ['a type that nobody knows', [{ type: 'text', text: 'x' }, { type: 'hologram' }], /content\[1\]: content block type "hologram" is not supported/],
    ['a type of a prototype', [{ type: 'constructor' }], /content block type "constructor" is not supported/],
    ['a text without text', [{ type: 'text' }], /AnthropicMessageContent/],
    ['a text that is a number', [{ type: 'text', text: 3 }], /AnthropicMessageContent/],
    ['a picture from an address', [{ ...image, source: { type: 'url', url: 'http://x' } }], /AnthropicMessageContent/],
    ['a result without its call', [{ type: 'tool_result', content: 'x' }], /AnthropicMessageContent/],
    ['a result that holds a result', [{ type: 'tool_result', tool_use_id: 'a', content: [{ type: 'tool_result' }] }], /tool_result content block/],
    ['no block', [], /must contain at least one content block/],
    ['nothing', null, /./],
  ])('%s', async (_name, content, message) => {
    worker.script = fine;
    expect(await refused(said(content))).toEqual([400, 'invalid_request_error', expect.stringMatching(message)]);
  });

  test.each<[string, unknown]>([
    ['a number', 3],
    ['a text', 'object'],
    ['a list', []],
    ['false', false],
    ['nothing', null],
  ])('a schema that is %s', async (_name, schema) => {
    worker.script = fine;
    const told = await refused(said('hi', { tools: [{ name: 'f', input_schema: schema }] }));
    expect(told).toEqual([400, 'invalid_request_error', expect.stringMatching(/input_schema|must be a JSON Schema object/)]);
  });

  test('schemas that mean nothing are for the model to read: they are passed on, and an answer is typed as far as they go', async () => {
    const call = '<tool_call>{"name":"f","arguments":{"a":"7"}}</tool_call>';
    for (const schema of [
      {},
      { type: 'nonsense' },
      { properties: 3 },
      { type: ['object', 7], properties: { a: null } },
      { $ref: '#' },
      { properties: { a: { $ref: '#/properties/a' } } },
    ]) {
      worker.script = [{ _text: call }, finish];
      const answer = (await (await ask(said('hi', { tools: [{ name: 'f', input_schema: schema }] }))).json()) as any;
      expect([answer.stop_reason, answer.content[0].name], JSON.stringify(schema)).toEqual(['tool_use', 'f']);
    }
  });

  test('a thousand tools reach the model, and one of them is called', async () => {
    const tools = Array.from({ length: 1_000 }, (_, n) => ({
      name: `tool_${n}`,
      description: 'd'.repeat(100),
      input_schema: { type: 'object', properties: { a: { type: 'string' } } },
    }));
    worker.script = [{ _textall: '<tool_call>{"name":"tool_999","arguments":{"a":"x"}}</tool_call>' }, finish];
    worker.received.length = 0;
    const told = readEvents(await (await ask(said('hi', { tools, stream: true }))).text());
    expect(told).toEqual({ blocks: [{ type: 'tool_use', name: 'tool_999', text: '{"a":"x"}' }], end: 'message_stop', stopReason: 'tool_use' });
    const { token_ids: ids } = worker.received[0]?.request as { token_ids: number[] };
    expect(Buffer.from(ids.filter((id) => id < 256)).toString()).toContain('tool_999');
    const { input_tokens: guess } = (await (await ask({ ...said('hi', { tools }) }, '/v1/messages/count_tokens')).json()) as { input_tokens: number };
    expect(guess).toBeGreaterThan(50_000);
  });

  test('a text of a million letters is answered, and one beyond the limit of bodies is refused as too large', async () => {
    worker.script = fine;
    const long = (await (await ask(said('x'.repeat(1_000_000)))).json()) as any;
    expect([long.content[0].text, long.usage.input_tokens > 1_000_000]).toEqual(['fine', true]);
    expect(await refused(said('x'.repeat(3_000_000)))).toEqual([413, 'request_too_large', expect.stringContaining('limit of 2 MB')]);
  });

  test('other bodies than JSON', async () => {
    const response = await fetch(`${frontend.address}/v1/messages`, { method: 'POST', headers: { 'content-type': 'image/png' }, body: 'x' });
    expect(response.status).toBe(415);
    for (const body of ['', '{', '[1', '\u0000', '{"a":1}}']) expect((await ask(body)).status, body).toBe(400);
    for (const body of [[], 3, 'text', null]) expect((await ask(JSON.stringify(body))).status).toBe(400);
    worker.script = fine;
    expect((await ask(said('still there?'))).status).toBe(200);
  });
});

const right: Readonly<Record<string, unknown>> = {
  ...said([{ type: 'text', text: 'hi' }]),
  system: [{ type: 'text', text: 'be brief', cache_control: { type: 'ephemeral' } }],
  temperature: 0.5,
  top_p: 0.5,
  top_k: 3,
  stop_sequences: ['Z'],
  tools: [{ name: 'f', description: 'd', input_schema: { type: 'object' } }],
  tool_choice: { type: 'auto' },
  thinking: { type: 'enabled', budget_tokens: 1024 },
  metadata: { user_id: 'u' },
  stream: false,
};

const odd: readonly unknown[] = [...anywhere, { type: 'tool' }, { a: [] }, [{ type: 'text' }]];

/** The same with one thing wrong, anywhere inside: a member replaced, dropped or added, or the text itself damaged. */
function mutated(pick: (below: number) => number): string {
  const made = structuredClone(right) as Record<string, any>;
  let at: any = made;
  while (true) {
    const names = Object.keys(at);
    const name = names[pick(names.length)] ?? 'more';
    const value = at[name];
    if (typeof value === 'object' && value !== null && Object.keys(value).length > 0 && pick(3) > 0) {
      at = value;
      continue;
    }
    const kind = pick(5);
    if (kind < 3) at[name] = odd[pick(odd.length)];
    else if (kind === 3 && !Array.isArray(at)) delete at[name];
    else at[`${name}_`] = odd[pick(odd.length)];
    break;
  }
  const text = JSON.stringify(made);
  const cut = pick(text.length);
  if (pick(8) === 0) return text.slice(0, cut);
  return pick(8) === 0 ? text.slice(0, cut) + ['"', '}', ']', ',', '\\', '\n', '0', 'e'][pick(8)] + text.slice(cut + pick(2)) : text;
}

test.each(['/v1/messages', '/v1/messages/count_tokens'])(
  '%s answers 400 damaged bodies in its own shape, and goes on',
  { timeout: 60_000 },
  async (path) => {
    worker.script = fine;
    const pick = random(path.length);
    let refusals = 0;
    for (let round = 0; round < 20; round++) {
      const bodies = Array.from({ length: 20 }, () => mutated(pick));
      await Promise.all(
        bodies.map(async (sent) => {
          const response = await ask(sent, path);
          const text = await response.text();
          expect([200, 400, 404], `${response.status} for ${sent.slice(0, 400)}: ${text}`).toContain(response.status);
          if (response.status !== 200) refusals++;
          if (response.headers.get('content-type') === 'application/json') {
            const told = JSON.parse(text);
            if (response.status !== 200)
              expect([told.type, typeof told.error.message, told.error.type]).toEqual(['error', 'string', expect.stringMatching(/_error$/)]);
            else
              expect(path === '/v1/messages' ? [told.type, told.usage.output_tokens] : typeof told.input_tokens).toEqual(
                path === '/v1/messages' ? ['message', 4] : 'number',
              );
          } else if (response.status === 200) expect(readEvents(text).end).toBe('message_stop');
          else expect(text).toMatch(/^Failed to parse the request body as JSON: /);
        }),
      );
    }
    expect(refusals).toBeGreaterThan(100);
    expect((await ask(right, path)).status).toBe(200);
  },
);

test('a stream that fails anywhere keeps what was told, and ends in the error of the API', async () => {
  const text =
    '<think>wé</think>Sure 日本<tool_call>{"name":"f","arguments":{"a":"x"}}</tool_call><tool_call>{"name":"g","arguments":{}}</tool_call>';
  const body = said('hi', { stream: true, tools: ['f', 'g'].map((name) => ({ name, input_schema: { type: 'object' } })) });
  worker.script = [{ _text: text }, finish];
  const whole = readEvents(await (await ask(body)).text());
  expect(whole.blocks.map(({ type, text: told }) => `${type} ${told}`)).toEqual([
    'thinking wé',
    'text Sure 日本',
    'tool_use {"a":"x"}',
    'tool_use {}',
  ]);
  for (let cut = 1; cut < text.length; cut += 3) {
    worker.script = [{ _text: text.slice(0, cut) }, { _raise: 'RuntimeError', msg: 'a secret of the worker' }];
    const told = readEvents(await (await ask(body)).text());
    expect([told.end, told.error]).toEqual(['error', { type: 'api_error', message: 'Internal server error' }]);
    for (const [index, block] of told.blocks.entries()) {
      const { text: all = '', type, name } = whole.blocks[index] ?? {};
      expect([block.type, block.name, all.startsWith(block.text)], text.slice(0, cut)).toEqual([type, name, true]);
    }
  }
});

test('an answer that its worker breaks off has its usage and no reason', async () => {
  worker.script = [{ _text: 'ab' }];
  const whole = (await (await ask(said('hi'))).json()) as any;
  expect([whole.content[0].text, whole.stop_reason, whole.usage]).toEqual([
    'ab',
    null,
    { input_tokens: 21, output_tokens: 2, cache_creation_input_tokens: 0 },
  ]);
  const told = readEvents(await (await ask(said('hi', { stream: true }))).text());
  expect([told.blocks, told.stopReason, told.end]).toEqual([[{ type: 'text', text: 'ab' }], null, 'message_stop']);
});

test('however an answer is cut into pieces, its stream keeps the order of the API and holds the same blocks', async () => {
  const parts = [
    '<think>deep\nthought</think>',
    'Well, ',
    '<tool_call>{"name":"f","arguments":{"a":"</x> \\"q\\""}}</tool_call>',
    '日本🎉',
    '<tool_call>\n{"name":"g","arguments":{"n":[1,2]}}\n</tool_call>',
    ' done',
  ];
  const tools = ['f', 'g'].map((name) => ({ name, input_schema: { type: 'object' } }));
  for (let seed = 1; seed <= 60; seed++) {
    const pick = random(seed);
    const text = parts.filter((_, at) => (at === 0 ? pick(2) === 0 : pick(3) > 0)).join('');
    const script: ScriptStep[] = [];
    for (let at = 0; at < text.length;) {
      const end = at + 1 + pick(12);
      // A character of two units stays whole: the script is made of texts.
      const to = /[\ud800-\udbff]$/.test(text.slice(at, end)) ? end + 1 : end;
      script.push({ _textall: text.slice(at, to) });
      at = to;
    }
    worker.script = [...script, finish];
    const whole = (await (await ask(said('hi', { tools }))).json()) as any;
    const told = readEvents(await (await ask(said('hi', { tools, stream: true }))).text());
    const of = (type: string): string => told.blocks.flatMap((block) => (block.type === type ? [block.text] : [])).join('');
    const inWhole = (type: string): any[] => whole.content.filter((block: any) => block.type === type);
    expect([told.end, told.stopReason], text).toEqual(['message_stop', whole.stop_reason]);
    expect(of('text')).toBe(
      inWhole('text')
        .map((block) => block.text)
        .join(''),
    );
    expect(of('thinking')).toBe(
      inWhole('thinking')
        .map((block) => block.thinking)
        .join(''),
    );
    const uses = told.blocks.filter(({ type }) => type === 'tool_use');
    expect(uses.map(({ name, text: input }) => ({ name, input: JSON.parse(input) }))).toEqual(
      inWhole('tool_use').map(({ name, input }) => ({ name, input })),
    );
  }
});
