import { expect } from 'vitest';
import { drained, large, type Plane, type Verb } from './matrix-plan.ts';
import type { Outcome, PairResult } from './matrix-run.ts';

/** The call that the real client lacks, told in the cell. */
export const noSuchCall = 'no such call';
/** What a large request over NATS comes to, told in the cell. */
export const refusedAlike = 'pass, refused past the limit';

/**
 * What stands in a pair's cell when all is as it should be.
 *
 * @throws AssertionError when it is not.
 */
export function judge(pair: PairResult, verb: Verb): string {
  return rules[verb](pair) ?? 'pass';
}

const numbered = (count: number): unknown[] => Array.from({ length: count }, (_, i) => ({ i }));

function callOf(pair: PairResult, name: string): Outcome {
  const outcome = pair.calls.get(name);
  if (outcome === undefined) throw new Error(`the client told nothing of '${name}'`);
  return outcome;
}

const expectItems = (pair: PairResult, name: string, items: readonly unknown[]): void =>
  expect(callOf(pair, name)).toMatchObject({ items, end: 'ok' });

/** How the client of a pair tells of a failure. */
const expectFailure = (pair: PairResult, name: string, told: Record<PairResult['client'], object>): void =>
  expect(callOf(pair, name)).toMatchObject({ end: 'error', ...told[pair.client] });

const text = (length: number): string => `${length} × x`;
const largest: Record<Plane, number> = { tcp: large.request, nats: large.fitsNats };

const rules: Record<Verb, (pair: PairResult) => string | undefined> = {
  unary(pair) {
    expectItems(pair, 'unary', [{ echo: { op: 'echo', x: [1, null, 'é', 1.5, true] } }]);
    return undefined;
  },
  stream(pair) {
    expectItems(pair, 'stream', numbered(1_000));
    return undefined;
  },
  /** The real client ends the stream quietly; ours throws what the signal was for. */
  cancel(pair) {
    const { items, ...told } = callOf(pair, 'cancel');
    expect(items).toEqual(items.map((_, alive) => ({ alive })));
    expect(told).toMatchObject(pair.client === 'ours' ? { end: 'error', code: 'cancelled' } : { end: 'ok' });
    expect(pair.handlers.get('cancel')).toMatchObject({ stopped: true, killed: false });
    return undefined;
  },
  kill(pair) {
    expectItems(pair, 'kill', [{ alive: 0 }, { alive: 1 }, { alive: 2 }]);
    expect(pair.handlers.get('kill')).toMatchObject({ stopped: true, killed: true });
    return undefined;
  },
  error(pair) {
    expect(callOf(pair, 'error').items).toEqual(numbered(2));
    expectFailure(pair, 'error', {
      ours: { code: 'invalid_argument', origin: 'backend', message: 'ValueError: boom' },
      theirs: { code: 'ValueError', message: 'InvalidRequest: ValueError: boom' },
    });
    return undefined;
  },
  'large payload'(pair) {
    expectItems(pair, 'large', [{ echo: { op: 'echo', s: text(largest[pair.plane]) } }]);
    expectItems(pair, 'large answer', [{ s: text(large.request) }]);
    expectItems(pair, 'unary again', [{ echo: { op: 'echo' } }]);
    if (pair.plane === 'tcp') return undefined;
    expectFailure(pair, 'too large', {
      ours: { code: 'payload_too_large' },
      theirs: { message: expect.stringContaining('InvalidRequest: Request payload is too large') as unknown },
    });
    return refusedAlike;
  },
  bidirectional(pair) {
    if (pair.client === 'theirs') {
      expect(pair.api).toEqual(['device_aware_weighted', 'direct', 'generate', 'random', 'round_robin']);
      return noSuchCall;
    }
    expectItems(pair, 'bidirectional', [...numbered(50).map((got) => ({ got })), { end: true }]);
    return undefined;
  },
  drain(pair) {
    expectItems(pair, 'drain', numbered(drained));
    expectFailure(pair, 'after drain', {
      ours: { code: 'unavailable' },
      theirs: { message: expect.stringContaining('No workers available') as unknown },
    });
    expect(pair.exit).toBe('0');
    return undefined;
  },
};
