import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { readMockLaunch } from './launch-options.ts';
import { normalizeLaunch } from './wire/launch-config.ts';

const golden = JSON.parse(readFileSync(new URL('../../../../vectors/mocker/config.json', import.meta.url), 'utf8'));
const captured = readFileSync(new URL('testing/captured-configs.jsonl', import.meta.url), 'utf8')
  .trim()
  .split('\n');
const cases: { input: unknown; normalized?: unknown; error?: string }[] = [...golden, ...captured.map((line) => JSON.parse(line))];

/** The real reader lists the parts of a range in any order. */
const sorted = (message: string): string => (message.includes('Validation error') ? [...message].toSorted().join('') : message);

describe('configurations as 1.6.1 reads them', () => {
  test.each(cases.map((one) => [JSON.stringify(one.input), one] as const))('%s', (_name, { input, normalized, error }) => {
    if (error === undefined) return expect(normalizeLaunch(input)).toEqual(normalized);
    let message = 'nothing was thrown';
    try {
      normalizeLaunch(input);
    } catch (thrown) {
      message = (thrown as Error).message;
    }
    expect(sorted(message)).toBe(sorted(error));
  });

  test.each([
    [[], 'an engine configuration must be a JSON object'],
    ['{', 'the engine configuration is not JSON'],
    [{ engine: { timing_model: { type: 'external', provider: 'ais', config: {} } } }, 'AISimulate'],
  ])('refuses %j', (input, message) => expect(() => normalizeLaunch(input)).toThrow(message));

  test.each([{ backend: 'sglang' }, { aic_nextn: 2 }, { native_host_offload: { num_host_blocks: 4 }, kv_cache_bytes_per_token: 8 }])(
    'says that %j is not simulated',
    async (engine) => expect(readMockLaunch({ engine })).rejects.toThrow('is not simulated by this version'),
  );
});

test('a profile sets the times, and goes on beyond its edges as in 1.6.1', async () => {
  const path = fileURLToPath(new URL('testing/profile.npz', import.meta.url));
  const { engine } = await readMockLaunch({ engine: { timing_model: { type: 'external', provider: 'dynamo_profile', config: { path } } } });
  const { timing } = engine;
  expect(timing?.prefillMs(1, 150, 150)).toBeCloseTo(20, 9);
  expect(timing?.prefillMs(2, 200, 200)).toBeCloseTo(50, 9);
  expect(timing?.prefillMs(1, 122, 250)).toBeCloseTo(14.4, 9);
  expect(timing?.prefillMs(1, 2_000, 2_000)).toBeCloseTo(1_250, 9);
  expect(timing?.prefillMs(1, 20, 20)).toBe(0);
  expect(timing?.decodeMs(151, 1, 151)).toBeCloseTo(2.765, 9);
  expect(timing?.decodeMs(402, 1, 201)).toBeCloseTo(5.525, 9);
  expect(timing?.decodeMs(2_001, 1, 2_001)).toBeCloseTo(54.943_262, 6);
  expect(timing?.decodeMs(21, 1, 21)).toBe(1);
});

test('a profile that is not there is named', async () =>
  expect(readMockLaunch({ engine: { timing_model: { type: 'external', provider: 'dynamo_profile', config: { path: '/nope' } } } })).rejects.toThrow(
    'Failed to open profile data: "/nope"',
  ));
