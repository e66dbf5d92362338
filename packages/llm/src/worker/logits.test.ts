import { readFileSync } from 'node:fs';
import { describe, expect, test, vi } from 'vitest';
import {
  adaptLogitsProcessor,
  applyLogitsProcessors,
  forcedSequenceProcessor,
  helloWorldProcessor,
  type LogitsProcessor,
  temperatureProcessor,
} from './logits.ts';

type Scores = readonly (number | 'inf' | '-inf' | 'nan')[];
const cases = JSON.parse(readFileSync(new URL('../../../../vectors/logits-processing/cases.json', import.meta.url), 'utf8')) as {
  temperature: { temperature: number; input: Scores; output: Scores }[];
  forced: { token_ids: number[]; eos: number; steps: { input: Scores; output: Scores }[] }[];
  errors: Record<string, string>;
};
const words = { inf: Infinity, '-inf': -Infinity, nan: NaN };
const scores = (list: Scores): Float32Array => Float32Array.from(list, (value) => (typeof value === 'number' ? value : words[value]));

test.each(cases.temperature)('the real processor at temperature $temperature', ({ temperature, input, output }) => {
  const logits = scores(input);
  temperatureProcessor(temperature)([], logits);
  expect(logits).toEqual(scores(output));
});

test.each(cases.forced)('the real forced sequence $token_ids', ({ token_ids: tokenIds, eos, steps }) => {
  const process = forcedSequenceProcessor(tokenIds, eos);
  for (const { input, output } of steps) {
    const logits = scores(input);
    process([], logits);
    expect(logits).toEqual(scores(output));
  }
});

test('the real errors', () => {
  const said = (name: string): string => (cases.errors[name] ?? '').replace(/^\w+: /, '');
  expect(Object.keys(cases.errors)).toHaveLength(5);
  expect(() => temperatureProcessor(0)).toThrow(said('temperature 0'));
  expect(() => temperatureProcessor(-1)).toThrow(said('temperature -1'));
  expect(() => forcedSequenceProcessor([1], undefined)).toThrow(said('forced no eos'));
  expect(() => helloWorldProcessor({ encode: () => [1] })).toThrow(said('hello no eos'));
  expect(() => forcedSequenceProcessor([9], 0)([], new Float32Array(4))).toThrow(said('forced out of range'));
  expect(() => temperatureProcessor(NaN)).toThrow();
});

test('numbers that are none stay so, and minus infinity too', () => {
  const logits = Float32Array.of(NaN, -Infinity, 1, 2);
  forcedSequenceProcessor([3], 0)([], logits);
  expect(logits).toEqual(Float32Array.of(NaN, -Infinity, -Infinity, 2));
});

const failing: LogitsProcessor = (_ids, logits) => {
  logits.fill(7);
  throw new Error('boom');
};

test('processors run in order, and one that throws leaves no trace', () => {
  const log = { error: vi.fn() };
  const logits = Float32Array.of(1, 2, 4);
  const seen: unknown[] = [];
  applyLogitsProcessors([temperatureProcessor(2), failing, (ids) => seen.push(ids), temperatureProcessor(0.5)], [5, 6], logits, {
    requestId: 'r',
    log,
  });
  expect(logits).toEqual(Float32Array.of(1, 2, 4));
  expect(seen).toEqual([[5, 6]]);
  expect(log.error.mock.calls).toEqual([[{ request: 'r', error: 'Error: boom' }, 'Error in logits processor for request r']]);
});

describe('an engine with batches and beams', () => {
  test('the processor works on the one row, in place', () => {
    const logits = Float32Array.of(1, 2, 3, 100);
    adaptLogitsProcessor(temperatureProcessor(0.5))('r', logits, [1, 1, 3], [[1, 2]]);
    expect(logits).toEqual(Float32Array.of(2, 4, 6, 100));
  });

  test.each([
    [[2, 1, 2], 'This logits adapter only supports per-request logits processing. Received logits with batch size 2 expected 1'],
    [[1, 2, 2], 'Logits processing with beam width > 1 is not supported'],
  ] as const)('a shape of %j is told of, and nothing changes', (shape, message) => {
    const log = { error: vi.fn() };
    const logits = Float32Array.of(1, 2, 3, 4);
    adaptLogitsProcessor(temperatureProcessor(0.5), log)('r', logits, shape, [[1]]);
    expect(logits).toEqual(Float32Array.of(1, 2, 3, 4));
    expect(log.error).toHaveBeenCalledWith({ request: 'r', error: expect.stringContaining(message) }, expect.anything());
  });
});

test('an engine says hello world, whatever its scores were', () => {
  const encode = (text: string): number[] => [...Buffer.from(text)];
  const processors = [temperatureProcessor(0.7), helloWorldProcessor({ encode, eosTokenId: 0 })];
  const said: number[] = [];
  for (let token = -1; token !== 0;) {
    const logits = Float32Array.from({ length: 256 }, (_, at) => Math.sin(at * (said.length + 1)));
    applyLogitsProcessors(processors, said, logits);
    token = logits.reduce((best, value, at) => (value > (logits[best] as number) ? at : best), 0);
    if (token !== 0) said.push(token);
  }
  expect(Buffer.from(said).toString()).toBe('Hello world!');
});
