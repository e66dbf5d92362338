import { decodeMsgpack, encodeMsgpack } from '@dynamo/runtime/internal';
import { expect, test } from 'vitest';
import type { TokenRequest } from '../request.ts';
import { decodeTokenRequest, encodeTokenRequest } from './preprocessed-request.ts';

const full: TokenRequest = {
  model: 'm',
  tokenIds: [1, 70000],
  stop: {
    maxTokens: 5,
    minTokens: 1,
    stop: ['a'],
    stopTokenIds: [2],
    visibleStopTokenIds: [3],
    hiddenStopTokenIds: [4],
    ignoreEos: false,
    maxThinkingTokens: 6,
  },
  sampling: { n: 2, temperature: 1, topP: 0.5, topK: -1, seed: 9223372036854775807n, lengthPenalty: 0, guidedDecoding: { regex: 'a' } },
  output: { logprobs: 0, promptLogprobs: 1, skipSpecialTokens: false, formattedPrompt: true, returnTokensAsTokenIds: true, noStopTrim: true },
  eosTokenIds: [4],
  cardChecksum: 'sum',
  annotations: ['token_ids'],
  routing: { backend_instance_id: 18446744073709551615n },
  extra: { require_reasoning: true },
};

test('what is written is read back', () => {
  expect(decodeTokenRequest(decodeMsgpack(encodeMsgpack(encodeTokenRequest(full))))).toEqual(full);
});

test('a plain request has all members that workers look for', () => {
  const wire = encodeTokenRequest({ model: 'm', tokenIds: [] }) as Record<string, Record<string, unknown>>;
  expect(Object.keys(wire).join()).toBe(
    'model,token_ids,stop_conditions,sampling_options,output_options,eos_token_ids,mdc_sum,annotations,routing,router_config_override',
  );
  expect(Object.values(wire['sampling_options'] ?? {})).toEqual(Array.from({ length: 14 }, () => null));
});

test('whole sampling options stay floats on the wire, counts stay integers', () => {
  const { sampling_options: options } = encodeTokenRequest(full) as { sampling_options: Record<string, unknown> };
  expect(Buffer.from(encodeMsgpack(options['temperature'])).toString('hex')).toBe('cb3ff0000000000000');
  expect(Buffer.from(encodeMsgpack(options['n'])).toString('hex')).toBe('02');
});
