import { PolynomialTiming } from '@dynamo/internal';
import { expect, test } from 'vitest';
import type { PlannerConfig } from '../config.ts';
import { checkConfig } from '../config.ts';
import { decideByLoad } from '../load/decide.ts';
import { decideByThroughput, type ThroughputRole } from './decide.ts';
import { mockModel } from './mock-model.ts';
import { linearModel } from './model.ts';
import { PassRegression } from './regression.ts';

const limits = { maxBatchedTokens: 8_192, maxSequences: 256, maxKvTokens: 1_000_000 };
const config: PlannerConfig = { mode: 'disagg', target: 'throughput', band: { min: -1, max: 16 }, floors: { prefill: 1, decode: 1 } };
const role = (current: number): ThroughputRole => ({
  current,
  gpus: 1,
  limits,
  model: mockModel(new PolynomialTiming(), { kvTokens: limits.maxKvTokens }),
});
const state = (requests: number, current: { prefill: number; decode: number }) => ({
  traffic: { requests, inputTokens: 3_000, outputTokens: 150 },
  intervalSeconds: 60,
  slas: { ttft: 0.5, itl: 0.05 },
  prefill: role(current.prefill),
  decode: role(current.decode),
});

test('more traffic takes more of both kinds, and none takes the fewest', () => {
  const busy = decideByThroughput(state(3_000, { prefill: 1, decode: 1 }), config);
  expect(busy).toMatchObject({ reason: 'scale_up' });
  expect(busy.prefill).toBe(Math.ceil(50 / (busy.capacity.prefill?.requestsPerSecond ?? 0)));
  const idle = decideByThroughput(state(0, { prefill: 5, decode: 1 }), config);
  expect(idle).toMatchObject({ prefill: 1, decode: 1, reason: 'scale_down', reasons: { prefill: 'scale_down', decode: 'no_traffic' } });
});

test('one decision takes at most so many steps, and stays within the budget', () => {
  expect(decideByThroughput({ ...state(1e6, { prefill: 1, decode: 1 }), mostStep: 2 }, { ...config, band: { min: -1, max: -1 } })).toMatchObject({
    prefill: 3,
    decode: 3,
  });
  const { prefill, decode } = decideByThroughput(state(1e6, { prefill: 1, decode: 1 }), config);
  expect((prefill ?? 0) + (decode ?? 0)).toBeLessThanOrEqual(16);
});

test('without a model, or with requests that no engine can hold, a role stays as it is', () => {
  const unknown = { ...role(3), model: undefined };
  expect(decideByThroughput({ ...state(100, { prefill: 1, decode: 1 }), prefill: unknown }, config)).toMatchObject({
    prefill: 3,
    reasons: { prefill: 'model_not_ready' },
  });
  const tiny = { ...role(2), limits: { ...limits, maxKvTokens: 100 } };
  expect(decideByThroughput({ ...state(100, { prefill: 1, decode: 1 }), decode: tiny }, config)).toMatchObject({
    decode: 2,
    reasons: { decode: 'insufficient_data' },
  });
});

test('what throughput needs is a lower bound for what load decides', () => {
  const agg: PlannerConfig = { ...config, mode: 'agg' };
  const engines = [{ queuedPrefillTokens: 0, scheduledDecodeKv: 0, queuedDecodeKv: 0 }];
  const capabilities = { gpus: 1, contextLength: 8_192, maxKvTokens: 100_000, maxBatchedTokens: 8_192 };
  const idle = { capabilities, ready: 1, engines };
  expect(decideByLoad({ decode: idle, bound: { prefill: null, decode: 4 } }, agg)).toMatchObject({ decode: 4, reason: 'scale_up' });
  expect(decideByLoad({ decode: idle, bound: { prefill: null, decode: 1 } }, agg)).toMatchObject({ decode: null, reason: 'no_change' });
  expect(decideByLoad({ decode: { ...idle, expected: 2 } }, agg)).toMatchObject({ decode: null, reason: 'scaling_in_progress' });
  expect(decideByLoad({ decode: { ...idle, engines: [] } }, agg)).toMatchObject({ decode: null, reason: 'no_fpm_data' });
  expect(decideByLoad({ decode: { ...idle, capabilities: undefined } }, agg)).toMatchObject({ decode: null, reason: 'insufficient_data' });
  const ranks = ['a', 'a', 'b'].map((worker) => ({ ...engines[0]!, worker }));
  expect(decideByLoad({ decode: { ...idle, ready: 2, engines: ranks } }, agg)).toMatchObject({ reason: 'worker_count_mismatch' });
});

test('a regression finds the line again, ignores what is idle, and keeps what is rare', () => {
  const truth = linearModel({ constant: 0.005, perPrefillToken: 0, perDecodeRequest: 2e-5, perDecodeKvToken: 3e-8 });
  const learned = new PassRegression('decode');
  expect(learned.model()).toBeUndefined();
  for (let index = 0; index < 200; index++) {
    const pass = { prefillTokens: 0, decodeRequests: 1 + ((index * 7) % 31), decodeKvTokens: 1_000 * (1 + ((index * 11) % 17)) };
    learned.observe({ ...pass, seconds: truth.seconds(pass) });
    learned.observe({ prefillTokens: 0, decodeRequests: 0, decodeKvTokens: 0, seconds: 0 });
  }
  expect(learned.size).toBe(64);
  const asked = { prefillTokens: 0, decodeRequests: 100, decodeKvTokens: 100_000 };
  expect(learned.model()?.seconds(asked)).toBeCloseTo(truth.seconds(asked), 9);
  const rare = new PassRegression('prefill', { maxSamples: 10 });
  rare.observe({ prefillTokens: 8_000, decodeRequests: 0, decodeKvTokens: 0, seconds: 0.4 });
  for (let index = 0; index < 500; index++) rare.observe({ prefillTokens: 10, decodeRequests: 0, decodeKvTokens: 0, seconds: 0.01 });
  expect(rare.model()?.seconds({ prefillTokens: 8_000, decodeRequests: 0, decodeKvTokens: 0 })).toBeCloseTo(0.4, 6);
});

test('passes that would be faster with more work make no model', () => {
  const learned = new PassRegression('prefill');
  for (let tokens = 1; tokens < 10; tokens++) learned.observe({ prefillTokens: tokens, decodeRequests: 0, decodeKvTokens: 0, seconds: 1 / tokens });
  expect(learned.model()).toBeUndefined();
});

test('what can never be met is refused', () => {
  const bad: [Partial<PlannerConfig>, RegExp][] = [
    [{ band: { min: 9, max: 8 } }, /minimum 9 is above its maximum 8/],
    [{ band: { min: -1, max: 3 } }, /the fewest workers take 4 GPUs, the maximum is 3/],
    [{ target: 'load' }, /needs its four thresholds/],
    [{ floors: { prefill: 1.5, decode: 1 } }, /whole number/],
    [
      { target: 'load', thresholds: { prefillUpTokens: 5, prefillDownTokens: 5, decodeUpPercent: 80, decodeDownPercent: 30 } },
      /must be above the one for scaling down/,
    ],
  ];
  for (const [change, message] of bad)
    expect(() => checkConfig({ ...config, ...change }, { prefill: 2, decode: 2 })).toThrow(
      expect.objectContaining({ code: 'invalid_argument', message: expect.stringMatching(message) }),
    );
  expect(() => checkConfig(config, { prefill: 2, decode: 2 })).not.toThrow();
});
