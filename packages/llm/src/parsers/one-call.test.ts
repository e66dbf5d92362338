import { expect, test } from 'vitest';
import type { ChatRequest } from '../openai/chat.ts';
import { answerParserFor, modelParsers } from './for-request.ts';
import type { ParserEvent } from './tools/parser.ts';

const tools = ['f', 'g'].map((name) => ({ type: 'function' as const, function: { name, parameters: { type: 'object' } } }));
const request = (more: Partial<ChatRequest>): ChatRequest => ({ model: 'm', messages: [], tools, ...more });

/** What is told of a text that comes in pieces: text, thoughts, and the calls' names. */
function told(names: { toolParser?: string; reasoningParser?: string }, text: string, more: Partial<ChatRequest>): unknown {
  const run = answerParserFor(request(more), modelParsers(names), { variables: undefined, prompt: undefined })?.start();
  const events: ParserEvent[] = [...text].flatMap((piece) => [...(run?.push(piece) ?? [])]);
  events.push(...(run?.end() ?? []));
  const of = (type: 'text' | 'reasoning'): string => events.map((event) => (event.type === type ? event.text : '')).join('');
  return { text: of('text'), thought: of('reasoning'), calls: events.flatMap((event) => (event.type === 'tool-call-start' ? [event.name] : [])) };
}

const hermes = '<think>t</think>a<tool_call>{"name":"f","arguments":{}}</tool_call>b<tool_call>{"name":"g","arguments":{}}</tool_call>c';
const harmony =
  '<|channel|>analysis<|message|>t<|end|><|start|>assistant<|channel|>commentary to=functions.f<|message|>{}<|call|>' +
  '<|start|>assistant<|channel|>commentary to=functions.g<|message|>{}<|call|>';

test.each([
  ['hermes', { toolParser: 'hermes', reasoningParser: 'qwen3' }, hermes, { text: 'abc', thought: 't' }],
  ['harmony', { toolParser: 'harmony', reasoningParser: 'gpt_oss' }, harmony, { text: '', thought: 't' }],
])('%s: a client that wants no calls side by side is told of the first', (_name, names, text, rest) => {
  expect(told(names, text, {})).toEqual({ ...rest, calls: ['f', 'g'] });
  expect(told(names, text, { parallel_tool_calls: true })).toEqual({ ...rest, calls: ['f', 'g'] });
  expect(told(names, text, { parallel_tool_calls: false })).toEqual({ ...rest, calls: ['f'] });
});

test('the same where a call is demanded', () => {
  const text = '[{"name":"f","parameters":{}},{"name":"g","parameters":{}}]';
  const asked = { tool_choice: 'required' as const };
  expect(told({ toolParser: 'hermes' }, text, asked)).toEqual({ text: '', thought: '', calls: ['f', 'g'] });
  expect(told({ toolParser: 'hermes' }, text, { ...asked, parallel_tool_calls: false })).toEqual({ text: '', thought: '', calls: ['f'] });
});
