import { describe, expect, test } from 'vitest';
import type { TokenChunk } from '@dynamo/kv-router';
import { answerParser, type AnswerParserOptions } from '../parsers/answer-parser.ts';
import { modelParsers } from '../parsers/for-request.ts';
import { type AnswerChunk, parseAnswer } from './parse-answer.ts';
import { splitAtTokens } from './split-at-tokens.ts';
import type { TextChunk } from './to-text.ts';

const callable = [{ name: 'f' }];
type Options = Partial<AnswerParserOptions>;

/** Reads chunks with the parsers of these names. */
function parsed(names: { toolParser?: string; reasoningParser?: string }, chunks: readonly TextChunk[], options: Options = {}): AnswerChunk[] {
  let ids = 0;
  const parser = answerParser({ ...modelParsers(names), callable, thinking: {}, uuid: () => String(ids++), ...options });
  if (parser === undefined) throw new Error('nothing to read');
  const run = parseAnswer(parser)();
  return [...run.push(chunks), ...(run.end?.() ?? [])];
}

const hermes = { toolParser: 'hermes', reasoningParser: 'qwen3' };
const call = '<tool_call>{"name":"f","arguments":{}}</tool_call>';
const done = { index: 0, id: 'call-0', name: 'f', arguments: '{}', done: true };

describe('chunks', () => {
  test('text and thoughts of one chunk stay one; what comes behind a call is a chunk of its own', () => {
    const text = `<think>hm</think>Ok ${call} Bye`;
    expect(parsed(hermes, [{ tokenIds: [1, 2], text, logprobs: [-1, -2] }])).toEqual([
      { tokenIds: [1, 2], text: 'Ok ', reasoning: 'hm', logprobs: [-1, -2], reasoningTokens: 2 },
      { tokenIds: [], text: '', calls: [done] },
      { tokenIds: [], text: ' Bye' },
    ]);
  });

  test('plain text passes as it came', () => {
    const chunk: TextChunk = { tokenIds: [1], text: 'plain', usage: { promptTokens: 3, completionTokens: 1, totalTokens: 4 } };
    expect(parsed(hermes, [chunk])[0]).toBe(chunk);
  });

  test('the end of an answer is on its last piece, and says whether tools were called', () => {
    expect(parsed(hermes, [{ tokenIds: [1], text: `a ${call}`, finishReason: 'stop', stopReason: 'x' }])).toEqual([
      { tokenIds: [1], text: 'a ' },
      { tokenIds: [], text: '', calls: [done], finishReason: 'stop', called: true, stopReason: 'x' },
    ]);
    expect(parsed(hermes, [{ tokenIds: [1], text: 'a <tool', finishReason: 'length' }])).toEqual([
      { tokenIds: [1], text: 'a <tool', finishReason: 'length' },
    ]);
  });

  test('a chunk that is held back is marked, one that opens a thought is not', () => {
    const chunks = ['<tool_call>', '{"name"', ':"f"}', '</tool_call>'].map((text): TextChunk => ({ tokenIds: [1], text }));
    expect(parsed(hermes, chunks).map(({ held, calls }) => [held, calls?.length])).toEqual([
      [true, undefined],
      [true, undefined],
      [undefined, 1],
      [true, undefined],
    ]);
    expect(parsed(hermes, [{ tokenIds: [1], text: '<think>' }])).toEqual([{ tokenIds: [1], text: '', reasoningTokens: 1 }]);
  });

  test('an answer that stops without saying so still gives what was held', () => {
    expect(parsed(hermes, [{ tokenIds: [1], text: 'a <', index: 1 }])).toEqual([
      { tokenIds: [1], text: 'a ', index: 1 },
      { tokenIds: [], text: '<', index: 1 },
    ]);
  });

  test('each choice has its own state', () => {
    const chunks = [
      { tokenIds: [1], text: '<think>' },
      { tokenIds: [2], text: 'b', index: 1 },
      { tokenIds: [3], text: 'a' },
    ];
    expect(parsed(hermes, chunks).map(({ text, reasoning }) => [text, reasoning])).toEqual([
      ['', undefined],
      ['b', undefined],
      ['', 'a'],
    ]);
  });

  test('arguments of a demanded call come piece by piece', () => {
    const chunks = ['[{"name":"f","parameters":{', '"a":', '1}}', ']'].map((text): TextChunk => ({ tokenIds: [1], text }));
    expect(parsed(hermes, chunks, { demanded: {} }).map(({ calls }) => calls)).toEqual([
      [{ index: 0, id: 'call-0', name: 'f', arguments: '{' }],
      [{ index: 0, arguments: '"a":' }],
      [{ index: 0, arguments: '1}', done: true }],
      undefined,
    ]);
  });
});

describe('markers that are tokens', () => {
  const marks = new Map([
    [1, '<|channel|>'],
    [2, '<|message|>'],
    [3, '<|call|>'],
    [4, '<|end|>'],
    [5, '<|start|>'],
  ]);
  const parser = answerParser({ ...modelParsers({ toolParser: 'harmony', reasoningParser: 'gpt_oss' }), callable, thinking: {}, uuid: () => '0' });
  const read = (chunks: readonly TextChunk[]): AnswerChunk[] => {
    const run = parseAnswer(parser as NonNullable<typeof parser>, marks)();
    return [...run.push(chunks), ...(run.end?.() ?? [])].filter(
      ({ text, reasoning, calls }) => text !== '' || reasoning !== undefined || calls !== undefined,
    );
  };

  test('the same spelling in ordinary tokens is text', () => {
    const chunks = [
      { tokenIds: [1], text: '<|channel|>' },
      { tokenIds: [90], text: 'final' },
      { tokenIds: [2], text: '<|message|>' },
      { tokenIds: [91, 92], text: 'write <|channel|>analysis' },
      { tokenIds: [93, 94], text: '<|end|>!' },
    ];
    expect(read(chunks).map(({ text }) => text)).toEqual(['write <|channel|>analysis', '<|end|>!']);
  });

  test('characters that were held for more bytes come out before the marker', () => {
    const chunks = [
      { tokenIds: [1], text: '<|channel|>' },
      { tokenIds: [90], text: 'final' },
      { tokenIds: [2], text: '<|message|>' },
      { tokenIds: [4], text: '\uFFFD<|end|>' },
    ];
    expect(read(chunks)).toEqual([{ tokenIds: [4], text: '\uFFFD' }]);
  });

  test('without token ids the spelling decides', () => {
    const text = '<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>commentary to=functions.f<|message|>{}<|call|>';
    expect(read([{ tokenIds: [], text }])).toEqual([
      { tokenIds: [], text: '', reasoning: 'hm', calls: [{ ...done, id: 'call-0' }], reasoningTokens: 0 },
    ]);
  });

  test('a chunk is split at its markers, and keeps what it says in its last part', () => {
    const chunk: TokenChunk = { tokenIds: [1, 90, 91, 2], logprobs: [-1, -2, -3, -4], index: 1, finishReason: 'stop' };
    expect(splitAtTokens(marks)().push([chunk, { tokenIds: [9, 9] }, { tokenIds: [1] }, { tokenIds: [1, 9], text: 'given' }])).toEqual([
      { tokenIds: [1], logprobs: [-1], index: 1 },
      { tokenIds: [90, 91], logprobs: [-2, -3], index: 1 },
      { tokenIds: [2], logprobs: [-4], index: 1, finishReason: 'stop' },
      { tokenIds: [9, 9] },
      { tokenIds: [1] },
      { tokenIds: [1, 9], text: 'given' },
    ]);
  });

  test('the vocabulary says which they are', () => {
    const encode = (text: string): number[] => (text === '<|call|>' ? [7] : [...text].map(() => 0));
    expect(modelParsers({ toolParser: 'harmony' }, { tokenizer: { encode } }).marks).toEqual(new Map([[7, '<|call|>']]));
    expect(modelParsers({ toolParser: 'hermes' }, { tokenizer: { encode } }).marks).toBeUndefined();
  });
});

describe('names that nobody knows', () => {
  test('calls stay text, thoughts are read as usual, and both are told', () => {
    const told: string[] = [];
    const parsers = modelParsers({ toolParser: 'x', reasoningParser: 'toString' }, { unknown: (kind, name) => void told.push(`${kind} ${name}`) });
    expect([parsers.tools, parsers.reasoning === modelParsers({ reasoningParser: 'basic' }).reasoning, told]).toEqual([
      undefined,
      true,
      ['tool x', 'reasoning toString'],
    ]);
  });
});
