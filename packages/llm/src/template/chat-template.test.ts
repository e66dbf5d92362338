import { DynamoError } from '@dynamo/runtime';
import { describe, expect, test } from 'vitest';
import { chatTemplateFromFiles, compileChatTemplate } from './chat-template.ts';

const say = '{% for m in messages %}{{ m.role }}:{{ m.content }};{% endfor %}';
const messages = [{ role: 'user', content: 'hi' }];

describe('choosing the template of a model', () => {
  const render = (files: Parameters<typeof chatTemplateFromFiles>[0], variables: Record<string, unknown> = {}): string | undefined =>
    chatTemplateFromFiles(files)?.render({ messages, tools: null, ...variables });

  test('the template file wins over the one of tokenizer_config.json', () => {
    expect(render({ tokenizerConfig: { chat_template: 'config' }, chatTemplate: 'file' })).toBe('file');
    expect(render({ tokenizerConfig: { chat_template: 'config' } })).toBe('config');
  });

  test('a model without template has none', () => {
    expect(chatTemplateFromFiles({ tokenizerConfig: {} })).toBeUndefined();
    expect(chatTemplateFromFiles({ tokenizerConfig: null })).toBeUndefined();
    expect(chatTemplateFromFiles({ tokenizerConfig: { chat_template: [] } })).toBeUndefined();
  });

  test.each([
    [
      'named entries',
      [
        { name: 'default', template: 'D' },
        { name: 'tool_use', template: 'T{{ tools|length }}' },
        { name: 'rag', template: 'R' },
      ],
    ],
    ['one entry with both', [{ default: 'D', tool_use: 'T{{ tools|length }}' }]],
  ])('of a list of %s, tool_use renders requests with tools', (_form, list) => {
    expect(render({ tokenizerConfig: { chat_template: list } })).toBe('D');
    expect(render({ tokenizerConfig: { chat_template: list } }, { tools: [] })).toBe('D');
    expect(render({ tokenizerConfig: { chat_template: list } }, { tools: [{}] })).toBe('T1');
  });

  test('special tokens may be text or an object with their content; a missing one is None', () => {
    const chat_template = '{{ bos_token }}{{ eos_token }}{{ unk_token is none }}';
    const config = { chat_template, bos_token: '<s>', eos_token: { content: '</s>', lstrip: false }, unk_token: null };
    expect(render({ tokenizerConfig: config })).toBe('<s></s>True');
  });

  test('a broken template is refused at once, with its line', () => {
    expect(() => chatTemplateFromFiles({ tokenizerConfig: { chat_template: '\n{% if %}' } })).toThrow(
      "the chat template can't be read: expected a value, found '%}' (line 2)",
    );
  });
});

describe('what a template can take', () => {
  const facts = (source: string): [boolean, boolean, boolean] => {
    const { takesContentParts, readsReasoning, takesArgumentText } = compileChatTemplate(source);
    return [takesContentParts, readsReasoning, takesArgumentText];
  };

  test('content as text, as parts, or as both', () => {
    expect(facts(say)[0]).toBe(false);
    expect(facts('{% for m in messages %}{% for p in m.content %}{{ p.text }}{% endfor %}{% endfor %}')[0]).toBe(true);
    expect(
      facts('{% for m in messages %}{% if m.content is string %}{{ m.content }}{% else %}{{ m.content[0].text }}{% endif %}{% endfor %}')[0],
    ).toBe(false);
  });

  test('reasoning', () => {
    expect(facts(say)[1]).toBe(false);
    expect(facts('{{ messages[0].reasoning_content }}')[1]).toBe(true);
  });

  test('arguments as text, when they come out as they went in', () => {
    const calls = (print: string): string =>
      `{% for m in messages %}{% for c in m.tool_calls or [] %}{% set f = c.function %}${print}{% endfor %}{% endfor %}`;
    expect(facts(calls('{% if f.arguments is string %}{{ f.arguments }}{% else %}{{ f.arguments|tojson }}{% endif %}'))[2]).toBe(true);
    expect(facts(calls('{% set a = f.arguments %}{% if a is string %}{{ a }}{% endif %}'))[2]).toBe(false);
    expect(facts(calls('{# arguments is string #}{{ f.arguments|tojson }}'))[2]).toBe(false);
  });
});

test('a template that raises ends in the answer of 1.6.1, with the reason as cause', () => {
  const template = compileChatTemplate("{{ raise_exception('roles must alternate') }}");
  const failure = catchError(() => template.render({ messages }));
  expect(DynamoError.is(failure, 'invalid_argument')).toBe(true);
  expect(failure).toMatchObject({ message: 'Invalid request', data: { public: { type: 'message', message: 'Invalid request' } } });
  expect((failure as Error).cause).toMatchObject({ message: 'roles must alternate' });
});

function catchError(run: () => unknown): unknown {
  try {
    run();
  } catch (error) {
    return error;
  }
  return undefined;
}
