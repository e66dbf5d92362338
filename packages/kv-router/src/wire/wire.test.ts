import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { encodeEngineOutput } from './engine-output.ts';
import { decodeTokenRequest } from './preprocessed-request.ts';

const captured = JSON.parse(readFileSync(new URL('../../../../vectors/runtime/tcp-frontend-to-mocker.decoded.json', import.meta.url), 'utf8')) as {
  body: { token_ids: number[]; mdc_sum: string };
}[];

test.each(captured.map(({ body }, index) => [index, body] as const))('captured request %i is read whole', (_index, body) => {
  const request = decodeTokenRequest(body);
  expect(request).toMatchObject({ model: 'qwen3', tokenIds: body.token_ids, cardChecksum: body.mdc_sum });
  expect(request.stop?.hiddenStopTokenIds).toEqual([151645, 151643]);
  expect(request.sampling).toEqual({});
});

test('bad input names the member and what came', () => {
  expect(() => decodeTokenRequest(7)).toThrow('the request is not an object');
  expect(() => decodeTokenRequest({ model: 'm' })).toThrow('token_ids must be an array of token ids, got nothing');
  expect(() => decodeTokenRequest({ model: 'm', token_ids: [1, -2] })).toThrow('token_ids must be an array of token ids, got [1,-2]');
  expect(() => decodeTokenRequest({ token_ids: [], model: 5 })).toThrow('model must be text, got 5');
});

test('a chunk is written with its wire names', () => {
  const chunk = {
    tokenIds: [1],
    finishReason: 'length' as const,
    logprobs: [-0.5],
    topLogprobs: [[{ rank: 1, tokenId: 1, logprob: -0.5 }]],
    usage: { promptTokens: 1, completionTokens: 2, totalTokens: 3 },
    extra: { engine_data: { a: 1 } },
  };
  expect(JSON.parse(JSON.stringify(encodeEngineOutput(chunk)))).toEqual({
    token_ids: [1],
    finish_reason: 'length',
    log_probs: [-0.5],
    top_logprobs: [[{ rank: 1, token_id: 1, logprob: -0.5 }]],
    completion_usage: { prompt_tokens: 1, completion_tokens: 2, total_tokens: 3 },
    engine_data: { a: 1 },
  });
});
