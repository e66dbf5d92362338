import { describe, expect, test } from 'vitest';
import { answerParser, type AnswerParser } from '../answer-parser.ts';
import { parserContract, read } from '../parser.contract.ts';
import { toolParsers } from './index.ts';

const parser = (name: string, pieces: boolean): AnswerParser | undefined =>
  answerParser({ tools: toolParsers[name], callable: [{ name: 'f' }], thinking: {}, pieces });

/** Values that are calls, in every order and spelling. */
const calls = [
  '{"name":"f","arguments":{"a":{"b":["}",{"c":"\\"]"}]}},"id":"x"}',
  '{"id":"x","type":"function","name":"f","parameters":{}}',
  '{"arguments":{"a":1},"name":"f"}',
  '{"type":"function","function":{"name":"f","arguments":{"a":1}}}',
  '{"name":"f","arguments":"{\\"a\\":1}"}',
  '{"name":"f","arguments":[1,{"a":2}]}',
  '{"name":"f","arguments":null,"parameters":{"a":1}}',
  '{"name":"f","arguments":{"a":1},"parameters":{"b":1}}',
  '{"name":"f","arguments":{"a":1},"name":"g"}',
  '{"name":1,"name":"f","arguments":{"a":1}}',
  '{"name":"f\\u0021","extra":{"x":[]},"arguments":{"a":1}}',
  '{"name":"f","n\\u0061me":"g","args":{"a":1}, "more": [{}, "}"]}',
  '{"name":"f"}',
  '[{"name":"f","arguments":{"a":1}}, {"name":"f","arguments":{}} ,{"name":"f","args":{"b":[]}}]',
  '[{"name":"f","arguments":{"a":1}},{"arguments":{"b":1},"name":"f"},{"name":"f","arguments":{"c":1}}]',
  '[{"name":"f","arguments":{"a":1}},{"name":"f"}]',
];

describe('calls', () => {
  const cases = ['hermes', 'llama3_json', 'default', 'phi4'].flatMap((name) =>
    calls.flatMap((call): [string, string][] => [
      [name, call],
      [name, `Ok <tool_call>\n${call}\n</tool_call> <|python_tag|>${call};${call} functools ${call} [{"no": 1}] {"name": 1}`],
    ]),
  );
  test.each(cases)('%s %j', (name, text) => {
    expect(read(parser(name, true), [text])).toEqual(read(parser(name, false), [text]));
    parserContract(parser(name, true), text);
  });
});

describe('what was told stays, and the rest is what it would be', () => {
  const told = (args: string, broken = false): object => ({ id: 'call-<uuid>', name: 'f', arguments: args, ...(broken ? { broken } : {}) });
  test.each([
    ['arguments that end in the middle', 'hermes', '<tool_call>{"name":"f","arguments":{"a', '', [told('{"a', true)]],
    ['arguments that are no JSON', 'hermes', '<tool_call>{"name":"f","arguments":{"a":tru}}</tool_call> Bye', ' Bye', [told('{"a":tru}', true)]],
    ['the first wrong character', 'hermes', '<tool_call>{"name":"f","arguments":{"a":$}}</tool_call> Bye', ' Bye', [told('{"a":', true)]],
    ['no JSON behind whole arguments', 'hermes', '<tool_call>{"name":"f","arguments":{}, oh}</tool_call> Bye', ' Bye', [told('{}')]],
    ['without a marker the rest is text', 'llama3_json', '{"name":"f","arguments":{"a":$}} Bye', '$}} Bye', [told('{"a":', true)]],
    ['the marks of a call that was told are none', 'llama3_json', '{"name":"f","arguments":{},} Bye', ' Bye', [told('{}')]],
    ['in families that drop nothing too', 'default', '<TOOLCALL>[{"name":"f","arguments":{}}, 5', ', 5', [told('{}')]],
    ['an entry that is no call', 'hermes', '<tool_call>[{"name":"f","arguments":{}},{"a":1}]</tool_call>!', '!', [told('{}')]],
    ['another call behind a broken one', 'hermes', '<tool_call>{"name":"f","arguments":{$</tool_call>\n<tool_call>{"name":"f","arguments":{}}</tool_call>', '', [told('{', true), told('{}')]], // prettier-ignore
    ['text behind a block\'s arguments', 'kimi_k2', '<|tool_call_begin|>functions.f:0<|tool_call_argument_begin|>{"a": 1} x<|tool_call_end|>!', '!', [{ ...told('{"a":1}'), id: 'functions.f:0' }]], // prettier-ignore
  ])('%s', (_case, name, text, content, found) => {
    expect(read(parser(name, true), [text])).toEqual({ content, reasoning: '', calls: found });
    parserContract(parser(name, true), text);
  });
});

test('the arguments come while they are written, and the name before them', () => {
  const run = parser('mistral', true)?.start();
  const shown = ['[TOOL_CALLS][{"name":"f","arg', 'uments": {"a"', ':"b"', '}', '}]'].map((piece) => run?.push(piece));
  expect(shown).toEqual([
    [],
    [expect.objectContaining({ type: 'tool-call-start', name: 'f' }), { type: 'tool-call-delta', index: 0, arguments: '{"a"' }],
    [{ type: 'tool-call-delta', index: 0, arguments: ':"b"' }],
    [
      { type: 'tool-call-delta', index: 0, arguments: '}' },
      { type: 'tool-call-end', index: 0 },
    ],
    [],
  ]);
});
