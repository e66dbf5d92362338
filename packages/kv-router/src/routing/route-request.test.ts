import { float } from '@dynamo/runtime/internal';
import { describe, expect, test } from 'vitest';
import { type HintReader, readHints } from './route-request.ts';

const reader: HintReader = { role: 'aggregated', hasRank: (_worker, rank) => rank < 2 };
const hints = (routing: Record<string, unknown>, more: Partial<HintReader> = {}) =>
  readHints({ model: 'm', tokenIds: [1], routing }, {}, { ...reader, ...more });

test('numbers count as they stand and as a frontend marks them', () => {
  for (const number of [(value: number) => value as unknown, float]) {
    const constraints = { required_taints: ['a'], preferred_taints: { b: number(0.5) } };
    expect(hints({ priority_jump: number(5), strict_priority: 1, expected_output_tokens: 9, routing_constraints: constraints })).toEqual({
      priorityJump: 5,
      strictPriority: 1,
      expectedOutputTokens: 9,
      constraints: { requiredTaints: ['a'], preferredTaints: { b: 0.5 } },
    });
  }
});

describe('who is to take the request', () => {
  test('a pin, the first of those that name one, with its rank if the worker has it', () => {
    expect(hints({ backend_instance_id: 8, decode_worker_id: 7, dp_rank: 1 }).constraints).toEqual({ pinned: { workerId: 7n, dpRank: 1 } });
    expect(hints({ decode_worker_id: 8n, dp_rank: 2 }).constraints).toEqual({ pinned: { workerId: 8n } });
    expect(hints({ dp_rank: 1 }).constraints).toBeUndefined();
  });

  test('who reads prompts is named by other members than who writes the answer', () => {
    const both = { backend_instance_id: 7, prefill_worker_id: 9, dp_rank: 0, prefill_dp_rank: 1 };
    expect(hints(both, { role: 'prefill' }).constraints).toEqual({ pinned: { workerId: 9n, dpRank: 1 } });
    expect(hints(both, { role: 'decode' }).constraints).toEqual({ pinned: { workerId: 7n, dpRank: 0 } });
    expect(hints({ backend_instance_id: 7 }, { role: 'prefill' }).constraints).toBeUndefined();
  });

  test('the call wins, with the rank of its session and those that it leaves out', () => {
    const excluded = new Set([3n]);
    const call = { instance: 5n, rank: 1, excluded };
    expect(readHints({ model: 'm', tokenIds: [1], routing: { backend_instance_id: 7 } }, call, reader).constraints).toEqual({
      pinned: { workerId: 5n, dpRank: 1 },
      excluded,
    });
  });
});

test.each([
  [{ backend_instance_id: 'seven' }, 'worker id must be a 64-bit integer'],
  [{ backend_instance_id: 1.5 }, 'worker id must be a 64-bit integer'],
  [{ allowed_worker_ids: [1, 'x'] }, 'allowed_worker_ids must be a 64-bit integer'],
])('%j is refused: %s', (routing, message) => {
  expect(() => hints(routing)).toThrow(expect.objectContaining({ code: 'invalid_argument', message }));
});

test.each([
  [{ overlap_score_credit: -1 }, 'overlap_score_credit must be a finite, non-negative number'],
  [{ router_temperature: 'hot' }, 'router_temperature must be a number, got "hot"'],
  [{ track_prefill_tokens: 1 }, 'track_prefill_tokens must be true or false, got 1'],
])('the override %j is refused: %s', (override, message) => {
  const request = { model: 'm', tokenIds: [1], extra: { router_config_override: override } };
  expect(() => readHints(request, {}, reader)).toThrow(expect.objectContaining({ code: 'invalid_argument', message }));
});

test('an override of which 1.6.1 heeds two members', () => {
  const override = { overlap_score_credit: 0.5, assume_kv_reuse: false, track_prefill_tokens: null, something_else: {} };
  const { override: heeded } = readHints({ model: 'm', tokenIds: [1], extra: { router_config_override: override } }, {}, reader);
  expect(heeded).toEqual({ assumeKvReuse: false });
});
