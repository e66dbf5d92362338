import { DynamoError } from '@dynamo/runtime';
import { float } from '@dynamo/runtime/internal';
import { describe, expect, test } from 'vitest';
import { compileChatTemplate } from './chat-template.ts';
import { type ChatPromptRequest, renderPrompt } from './render-prompt.ts';

const user = { role: 'user', content: 'x' };
const dump = compileChatTemplate('{{ messages|tojson }}');
const parts = compileChatTemplate('{% for m in messages %}{{ m.role }}:{% for p in m.content %}[{{ p.type }} {{ p.text }}]{% endfor %}{% endfor %}');
const reads = compileChatTemplate('{% for m in messages %}{{ m.reasoning_content }}|{{ m.content }};{% endfor %}');
const flags = compileChatTemplate('{{ thinking }} {{ enable_thinking }} {{ thinking_mode }} {{ reasoning_effort }}');
const tools = compileChatTemplate('{{ tools|tojson }}');

const render = (template: typeof dump, request: Partial<ChatPromptRequest>): string => renderPrompt(template, { messages: [user], ...request });
const failureOf = (template: typeof dump, request: Partial<ChatPromptRequest>): unknown => {
  try {
    return render(template, request);
  } catch (error) {
    return DynamoError.is(error, 'invalid_argument') ? error.data['public'] : error;
  }
};

describe('messages', () => {
  test('members come in one order, null and unknown ones are left out', () => {
    const assistant = { name: 'n', extra: 1, refusal: null, tool_calls: [], content: 'a', role: 'assistant' };
    expect(render(dump, { messages: [{ name: 'bob', content: 'u', role: 'user' }, assistant] })).toBe(
      '[{"role": "user", "content": "u", "name": "bob"}, {"role": "assistant", "content": "a", "name": "n", "tool_calls": []}]',
    );
  });

  test('parts that are all text are joined, others stay and hide their media', () => {
    const text = (value: string): object => ({ type: 'text', text: value });
    const image = { type: 'image_url', image_url: { url: 'data:image/png;base64,AA' } };
    expect(render(dump, { messages: [{ role: 'user', content: [text('a'), text('b')] }] })).toBe('[{"role": "user", "content": "a\\nb"}]');
    expect(render(dump, { messages: [{ role: 'user', content: [] }] })).toBe('[{"role": "user", "content": []}]');
    expect(render(dump, { messages: [{ role: 'user', content: [text('a'), image, { type: 'video_url' }, { type: 'audio_url' }] }] })).toBe(
      '[{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "image"}, {"type": "video"}, {"type": "audio"}]}]',
    );
  });

  test('a template of parts gets text as one part', () => {
    expect(
      render(parts, {
        messages: [
          user,
          {
            role: 'user',
            content: [
              { type: 'text', text: 'y' },
              { type: 'text', text: 'z' },
            ],
          },
        ],
      }),
    ).toBe('user:[text x]user:[text y][text z]');
  });

  test('reasoning goes into the content of a template that does not read it', () => {
    const turn = (more: object): Partial<ChatPromptRequest> => ({ messages: [{ role: 'assistant', ...more }] });
    expect(render(dump, turn({ content: 'b', reasoning_content: 'why' }))).toBe('[{"role": "assistant", "content": "<think>why</think>b"}]');
    expect(render(dump, turn({ content: null, reasoning_content: ['r1', '', 'r2'] }))).toBe(
      '[{"role": "assistant", "content": "<think>r1</think><think>r2</think>"}]',
    );
    expect(render(parts, turn({ content: 'b', reasoning_content: 'why' }))).toBe('assistant:[text <think>why</think>][text b]');
    expect(render(reads, turn({ content: 'b', reasoning_content: 'why' }))).toBe('why|b;');
    expect(render(reads, turn({ content: 'b', reasoning_content: ['r1', 'r2'] }))).toBe('r1\nr2|b;');
    expect(render(reads, { messages: [{ ...user, reasoning_content: 'mine' }] })).toBe('mine|x;');
  });
});

describe('calls of earlier turns', () => {
  const call = (given: unknown): Partial<ChatPromptRequest> => ({
    messages: [user, { role: 'assistant', content: 'y', tool_calls: [{ id: '1', type: 'function', function: { name: 'f', arguments: given } }] }],
  });
  const shown = compileChatTemplate('{% for c in messages[-1].tool_calls or [] %}{{ c.function.arguments|tojson }}{% endfor %}');

  test('their arguments are objects that keep floats, digits and order', () => {
    expect(render(shown, call('{"10": 1.0, "2": [1e3, 18446744073709551615, 0.5], "a": {"é": null}}'))).toBe(
      '{"10": 1.0, "2": [1000.0, 18446744073709551615, 0.5], "a": {"é": null}}',
    );
    expect(render(shown, call({ a: float(2) }))).toBe('{"a": 2.0}');
    expect(render(shown, call('{"a": 1, "b": 2, "a": 3}'))).toBe('{"a": 3, "b": 2}');
  });

  test('blank text stays text', () => {
    expect([render(shown, call('')), render(shown, call('  '))]).toEqual(['""', '"  "']);
  });

  test.each([
    ['{bad', ': key must be a string at line 1 column 2'],
    ['{"a":}', ': expected value at line 1 column 6'],
    ['{"a":1,}', ': trailing comma at line 1 column 8'],
    ['{"a":1} x', ': trailing characters at line 1 column 9'],
    ['{"a":1', ': EOF while parsing an object at line 1 column 6'],
    ['{"a":[1 2]}', ': expected `,` or `]` at line 1 column 9'],
    ['{\n "é": @}', ': expected value at line 2 column 8'],
    ['{"a":'.repeat(200), ': recursion limit exceeded at line 1 column 636'],
    ['[1]', ''],
    ['null', ''],
  ])('%s is refused in the words of 1.6.1', (given, why) => {
    const message = `Validation: \`messages[1].tool_calls[0].function.arguments\` must be a valid JSON object string${why}`;
    expect(failureOf(dump, call(given))).toEqual({ type: 'message', message });
  });

  test('the older function_call is not checked', () => {
    const legacy = (given: string): Partial<ChatPromptRequest> => ({
      messages: [{ role: 'assistant', content: 'y', function_call: { name: 'f', arguments: given } }],
    });
    expect(render(dump, legacy('{bad'))).toContain('"function_call": {"name": "f", "arguments": "{bad"}');
    expect(render(dump, legacy('{"q":1}'))).toContain('"function_call": {"name": "f", "arguments": {"q": 1}}');
  });
});

describe('tools', () => {
  const tool = (more: object): Partial<ChatPromptRequest> => ({
    tools: [{ function: { extra: 1, strict: null, ...more, name: 'g' }, type: 'function' }],
  });

  test('are None without any, and when the client forbids calls', () => {
    expect([render(tools, {}), render(tools, { tools: null }), render(tools, { ...tool({}), tool_choice: 'none' })]).toEqual([
      'null',
      'null',
      'null',
    ]);
    expect(render(tools, { ...tool({}), tool_choice: 'required' })).toContain('"name": "g"');
  });

  test('have their members in one order and a whole schema', () => {
    expect(render(tools, tool({ parameters: {} }))).toBe(
      '[{"type": "function", "function": {"name": "g", "parameters": {"type": "object", "properties": {}}, "description": ""}}]',
    );
    expect(render(tools, tool({ strict: true, parameters: { properties: { a: { default: float(1) } }, type: 'object' }, description: 'd' }))).toBe(
      '[{"type": "function", "function": {"name": "g", "description": "d", "parameters": {"properties": {"a": {"default": 1.0}}, "type": "object"}, "strict": true}}]',
    );
    expect(render(tools, tool({ parameters: { required: ['x'] } }))).toContain(
      '"parameters": {"required": ["x"], "type": "object", "properties": {}}',
    );
  });
});

describe('thinking', () => {
  const none = '   ';
  test.each<[string, Partial<ChatPromptRequest>]>([
    [none, {}],
    ['True True enabled ', { chat_template_args: { thinking: true } }],
    ['False False disabled ', { chat_template_kwargs: { enable_thinking: false } }],
    ['True True enabled ', { chat_template_args: { thinking: true, enable_thinking: false } }],
    ['True True enabled ', { chat_template_args: { thinking: 'false', enable_thinking: true } }],
    ['True True enabled ', { chat_template_args: { enable_thinking: true, thinking_mode: 'disabled' } }],
    ['False False disabled ', { chat_template_args: { thinking_mode: 'Disabled' } }],
    ['  chat ', { chat_template_args: { thinking_mode: 'chat' } }],
    ['False False off ', { chat_template_args: { thinking_mode: 'off' } }],
    ['True True chat ', { chat_template_args: { thinking_mode: 'chat', enable_thinking: 'yes' } }],
    ['True True  ', { chat_template_args: { thinking: ' ON ' } }],
    ['False False  ', { chat_template_args: { thinking: 'maybe' } }],
    ['False False  ', { chat_template_args: { thinking: 0 } }],
    ['True True  ', { chat_template_args: { thinking: 1.5 } }],
    ['False False  ', { chat_template_args: { thinking: float(0) } }],
    ['[]   ', { chat_template_args: { thinking: [] } }],
    ['False False disabled none', { reasoning_effort: 'none' }],
    ['True True enabled high', { reasoning_effort: 'high' }],
    ['True True enabled high', { reasoning_effort: 'high', chat_template_args: { thinking_mode: 'chat' } }],
    ['False False disabled medium', { reasoning_effort: 'medium', chat_template_args: { thinking: false } }],
    ['True True enabled high', { reasoning_effort: 'high', chat_template_args: { reasoning_effort: 'low' } }],
    ['  ' + ' 3', { chat_template_args: { reasoning_effort: 3 } }],
    ['False False disabled ', { thinking: { type: 'disabled' } }],
    ['True True enabled none', { thinking: { type: 'enabled' }, reasoning_effort: 'none' }],
    ['  adaptive high', { thinking: { type: 'adaptive' }, reasoning_effort: 'high', chat_template_args: { thinking: true } }],
  ])('%s', (expected, request) => {
    expect(render(flags, request)).toBe(expected);
  });
});

test("a client's variables reach the template, but replace none of ours", () => {
  const template = compileChatTemplate('{{ foo }}{{ messages|length }}{{ add_generation_prompt }}{{ bos_token }}{{ pad_token }}', {
    bosToken: '<s>',
  });
  const chat_template_args = { foo: 'bar', messages: [], add_generation_prompt: false, bos_token: 'mine', pad_token: 'P' };
  expect(render(template, { chat_template_args })).toBe('bar1True<s>P');
});

describe('going on with the final message', () => {
  const on = { continue_final_message: true, add_generation_prompt: false };
  const said = (content: unknown): Partial<ChatPromptRequest> => ({ ...on, messages: [user, { role: 'assistant', content }] });
  const plain = compileChatTemplate('{% for m in messages %}{{ m.role }}:{{ m.content }};{% endfor %} the end');
  const trims = compileChatTemplate('{% for m in messages %}{{ m.role }}:{{ m.content|trim }};{% endfor %} the end');

  test('the prompt ends where its text ends', () => {
    expect(render(plain, said('e'))).toBe('user:x;assistant:e');
    expect(render(plain, said('  The  '))).toBe('user:x;assistant:  The  ');
    expect(render(trims, said('  The  '))).toBe('user:x;assistant:The');
    expect(render(dump, said('a"b'))).toBe('[{"role": "user", "content": "x"}, {"role": "assistant", "content": "a\\"b');
    expect(
      render(
        parts,
        said([
          { type: 'text', text: 'a' },
          { type: 'text', text: 'b ' },
        ]),
      ),
    ).toBe('user:[text x]assistant:[text a][text b ');
  });

  test('without text there is nothing to go on with', () => {
    const answer = { type: 'message', message: 'Invalid request' };
    for (const content of ['', null, []]) expect(failureOf(plain, said(content))).toEqual(answer);
    expect(failureOf(compileChatTemplate('{{ messages|length }}'), said('a'))).toEqual(answer);
  });

  test('it excludes a prompt for the next message', () => {
    const message = 'Validation: Cannot set both `continue_final_message` and `add_generation_prompt` to True.';
    expect(failureOf(plain, { continue_final_message: true })).toEqual({ type: 'message', message });
  });
});
