import { expect, test } from 'vitest';
import type { ChatRequest } from './chat.ts';
import { templateArgs } from './template-args.ts';

const args = (members: Partial<ChatRequest>): unknown => templateArgs({ model: 'm', messages: [], ...members });
const on = { thinking: true, enable_thinking: true, thinking_mode: 'enabled' };
const off = { thinking: false, enable_thinking: false, thinking_mode: 'disabled' };

test('nothing asked, nothing given', () => {
  expect(args({})).toBeUndefined();
  expect(args({ chat_template_args: { a: 1 } })).toEqual({ a: 1 });
});

test('every spelling of thinking is brought into line, the request itself first', () => {
  expect(args({ thinking: true, chat_template_args: { enable_thinking: false } })).toEqual(on);
  expect(args({ thinking: { type: 'adaptive' }, chat_template_args: { enable_thinking: true } })).toEqual({ thinking_mode: 'adaptive' });
  expect(args({ chat_template_args: { thinking: true, enable_thinking: false } })).toEqual(on);
  expect(args({ chat_template_args: { thinking_mode: 'disabled' } })).toEqual(off);
  expect(args({ chat_template_args: { thinking: 'off' } })).toEqual({ thinking: false, enable_thinking: false });
});

test('an effort switches thinking only where nothing else does', () => {
  expect(args({ reasoning_effort: 'none' })).toEqual({ ...off, reasoning_effort: 'none' });
  expect(args({ reasoning_effort: 'high', chat_template_args: { thinking: false } })).toEqual({ ...off, reasoning_effort: 'high' });
});
