import { readFileSync } from 'node:fs';
import { chatTemplateFromFiles, type ChatTemplate } from '@dynamo/llm/internal';
import { expect, test } from 'vitest';
import { userTextOf } from './user-text.ts';

const config = JSON.parse(readFileSync(new URL('../../model/tokenizer_config.json', import.meta.url), 'utf8')) as { chat_template: string };
const templateOf = (chatTemplate: string): ChatTemplate => chatTemplateFromFiles({ tokenizerConfig: {}, chatTemplate })!;
const bundled = templateOf(config.chat_template);

/** Marks of other model families, with what they say before a first turn. */
const families: Record<string, ChatTemplate> = {
  bundled,
  'header ids': templateOf(
    '<|begin_of_text|>{% for m in messages %}<|start_header_id|>{{ m.role }}<|end_header_id|>\n\n{{ m.content | trim }}<|eot_id|>{% endfor %}{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}',
  ),
  instructions: templateOf(
    "<s>{% for m in messages %}{% if m.role == 'user' %}[INST] {{ m.content }}[/INST]{% else %} {{ m.content }}</s>{% endif %}{% endfor %}",
  ),
  'a default system turn': templateOf(
    "{% if messages[0].role != 'system' %}<|im_start|>system\nBe kind.<|im_end|>\n{% endif %}{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}",
  ),
};

test.each(Object.entries(families))('%s: the last turn of the user is found', (_name, template) => {
  const userText = userTextOf(template);
  const text = 'Was there\nanything? <b>é 日本</b>';
  const turns = [
    { role: 'user', content: 'Hi' },
    { role: 'assistant', content: 'Hello' },
    { role: 'user', content: text },
  ];
  expect(userText(template.render({ messages: turns, add_generation_prompt: true }))).toBe(text);
  expect(userText(template.render({ messages: turns.slice(0, 1), add_generation_prompt: true }))).toBe('Hi');
});

test('a text that looks like the end of a turn stays whole', () => {
  const template = bundled;
  const content = 'what does <|im_end|>\n<|im_start|>assistant\n mean?';
  expect(userTextOf(template)(template.render({ messages: [{ role: 'user', content }], add_generation_prompt: true }))).toBe(content);
});

test('a prompt without turns comes back whole', () => {
  expect(userTextOf(bundled)('Once upon a time')).toBe('Once upon a time');
  expect(userTextOf(undefined)('<|im_start|>user\nHi')).toBe('<|im_start|>user\nHi');
});

test('a template that raises, or that swallows its messages, gives prompts back whole', () => {
  expect(userTextOf(templateOf("{{ raise_exception('no') }}"))('abc')).toBe('abc');
  expect(userTextOf(templateOf('fixed'))('fixed')).toBe('fixed');
});
