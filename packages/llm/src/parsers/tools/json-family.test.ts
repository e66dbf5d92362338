import { expect, test } from 'vitest';
import { answerParser } from '../answer-parser.ts';
import { parserContract, read } from '../parser.contract.ts';
import { toolParsers } from './index.ts';

const good = '<tool_call>{"name":"f","arguments":{"a":1}}</tool_call>';

test.each([
  ['a name that nobody closed', '<tool_call>{"name":"f","argu</tool_call>end', 'end', 0],
  ['and a good call behind it', `<tool_call>{"name":"f","argu</tool_call>${good}end`, 'end', 1],
  ['two of them', '<tool_call>{"a</tool_call>x<tool_call>{"b":1,"c</tool_call>end', 'end', 0],
  ['with nothing behind', '<tool_call>{"name":"f","argu</tool_call>', '', 0],
  ['a marker that is cut off', '<tool_call>{"name":"f","argu</tool_call>so <tool_c', 'so <tool_c', 0],
  ['a closing marker inside a string that is closed', '<tool_call>{"name":"f","arguments":{"a":"</tool_call>"}}</tool_call>.', '.', 1],
])('a string that stays open does not take along what stands behind its call: %s', (_what, text, rest, calls) => {
  const parser = answerParser({ tools: toolParsers['hermes'], callable: [{ name: 'f' }], thinking: {} });
  const { content, calls: made } = read(parser, [text]);
  expect([content, made.length]).toEqual([rest, calls]);
  parserContract(parser, text);
});
