import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import type { TokenChunk } from '../request.ts';
import { decodeEngineOutput, encodeEngineOutput } from './engine-output.ts';

interface Case {
  name: string;
  status: number;
  worker_script?: Record<string, unknown>[];
}
const cases = JSON.parse(readFileSync(new URL('../../../../vectors/llm/http/http.json', import.meta.url), 'utf8')) as Case[];
const script = (name: string): Record<string, unknown>[] => cases.find((found) => found.name === name)?.worker_script ?? [];

test('every member comes back as it was sent', () => {
  const chunk: TokenChunk = {
    tokenIds: [1, 0xffff_ffff],
    text: 'hi',
    finishReason: 'length',
    stopReason: 'END',
    index: 1,
    logprobs: [-0.5, -1],
    cumulativeLogprob: -1.5,
    topLogprobs: [[{ rank: 1, tokenId: 1, token: 'h', logprob: -0.5, bytes: [104] }], []],
    usage: { promptTokens: 1, completionTokens: 2, totalTokens: 3, promptTokensDetails: { cached_tokens: 1 } },
    extra: { engine_data: { a: 1 }, tokens: ['hi'] },
  };
  expect(decodeEngineOutput(encodeEngineOutput(chunk))).toEqual(chunk);
});

test('null counts as absent, and the default output type says nothing', () => {
  const nulls = { tokens: null, text: null, finish_reason: null, log_probs: null, completion_usage: null, engine_data: null };
  expect(decodeEngineOutput({ token_ids: [], output_type: 'text', ...nulls })).toStrictEqual({ tokenIds: [] });
  expect(decodeEngineOutput({ token_ids: [], output_type: 'image' })).toStrictEqual({ tokenIds: [], extra: { output_type: 'image' } });
});

test.each([
  ['finish_error: boom', { error: 'boom' }],
  ["finish_{'error': 'boom'}", { error: 'boom' }],
  ['finish_error', { error: 'the engine gave no reason' }],
  ['finish_eos', 'eos'],
  ['finish_content_filter', 'content_filter'],
])('captured %s', (name, finishReason) => {
  expect(decodeEngineOutput(script(name)[1])).toStrictEqual({ tokenIds: [], finishReason });
});

test.each([
  ['finish_bogus', 1, 'finish_reason must be a known word, got "bogus"'],
  ['bad_engine_chunk', 0, 'token_ids must be an array of token ids, got nothing'],
  ['bad_engine_chunk_stream', 1, 'token_ids must be an array of token ids, got "x"'],
  ['annotated_passthrough', 0, 'token_ids must be an array of token ids, got nothing'],
])('captured %s is a failure of the backend', (name, step, message) => {
  const read = (): TokenChunk => decodeEngineOutput(script(name)[step]);
  expect(read).toThrow(message);
  expect(read).toThrow(expect.objectContaining({ code: 'unknown', origin: 'backend' }));
});

test.each([
  [7, 'the chunk must be an object, got 7'],
  [[1], 'the chunk must be an object, got [1]'],
  [{ token_ids: [-1] }, 'token_ids'],
  [{ token_ids: [1.5] }, 'token_ids'],
  [{ token_ids: [2 ** 32] }, 'token_ids'],
  [{ token_ids: [], text: 5 }, 'text must be text, got 5'],
  [{ token_ids: [], index: 'a' }, 'index'],
  [{ token_ids: [], log_probs: [null] }, 'log_probs must be a number, got null'],
  [{ token_ids: [], top_logprobs: [[1]] }, 'top_logprobs must be lists of objects, got 1'],
  [{ token_ids: [], completion_usage: {} }, 'prompt_tokens must be a number, got nothing'],
  [{ token_ids: [], stop_reason: [] }, 'stop_reason must be a number, got []'],
  [{ token_ids: [], finish_reason: 'toString' }, 'finish_reason'],
])('%j is refused', (value, message) => {
  expect(() => decodeEngineOutput(value)).toThrow(message);
});

test('an id beyond 2^53 is refused too', () => {
  expect(() => decodeEngineOutput({ token_ids: [2n ** 60n] })).toThrow('token_ids must be an array of token ids, got ["1152921504606846976"]');
});

test('names of the object prototype are ordinary members', () => {
  const wire = JSON.parse('{"token_ids":[],"__proto__":{"a":1},"constructor":1}') as unknown;
  const { extra } = decodeEngineOutput(wire);
  expect(Object.entries(extra ?? {})).toEqual([
    ['__proto__', { a: 1 }],
    ['constructor', 1],
  ]);
});
