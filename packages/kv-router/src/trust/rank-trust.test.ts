import { describe, expect, test } from 'vitest';
import { type Heard, RankTrust, type TrustLevel, type TrustState } from './rank-trust.ts';

/** A step of a rank's story: what happens, at which second, and how the rank stands then. */
type Step = readonly [
  seconds: number,
  what: Heard | 'owes' | 'none' | readonly [exact: number, cached: number, approximate?: number | undefined, times?: number],
  state: TrustState,
  level: TrustLevel,
];

const live = (cursor: number): Heard => ({ state: 'live', cursor });
const recovering = (cursor: number): Heard => ({ state: 'recovering', cursor });
const degraded = (cursor: number): Heard => ({ state: 'degraded', cursor });
const slack = 32;

const stories: readonly { readonly name: string; readonly steps: readonly Step[] }[] = [
  {
    name: 'a rank that is heard is believed',
    steps: [
      [0, live(0), 'live', 'exact'],
      [60, live(7), 'live', 'exact'],
    ],
  },
  {
    name: 'one that catches up is believed for a while, then no longer, and again when it has caught up',
    steps: [
      [0, live(3), 'live', 'exact'],
      [1, recovering(3), 'lagging', 'exact'],
      [10, recovering(3), 'lagging', 'exact'],
      [11, recovering(3), 'gapped', 'approximate'],
      [12, live(9), 'live', 'exact'],
    ],
  },
  {
    name: 'events that are missing for good count until a dump has replaced what was known',
    steps: [
      [0, degraded(4), 'gapped', 'approximate'],
      [1, degraded(8), 'gapped', 'approximate'],
      [2, recovering(8), 'lagging', 'exact'],
      [3, live(9), 'live', 'exact'],
    ],
  },
  {
    name: 'one that serves and says nothing is silent until it speaks',
    steps: [
      [0, live(3), 'live', 'exact'],
      [1, 'owes', 'live', 'exact'],
      [2, 'owes', 'live', 'exact'],
      [3, 'owes', 'live', 'exact'],
      [20, live(3), 'live', 'exact'],
      [21, 'owes', 'silent', 'approximate'],
      [22, live(4), 'live', 'exact'],
    ],
  },
  {
    name: 'one that has nothing to say may be quiet',
    steps: [
      [0, live(3), 'live', 'exact'],
      [3600, live(3), 'live', 'exact'],
    ],
  },
  {
    name: 'a rank without a publisher is silent once it has served',
    steps: [
      [0, 'none', 'lagging', 'exact'],
      [1, 'owes', 'lagging', 'exact'],
      [1, 'owes', 'lagging', 'exact'],
      [1, 'owes', 'lagging', 'exact'],
      [1, 'owes', 'lagging', 'exact'],
      [12, 'none', 'silent', 'approximate'],
    ],
  },
  {
    name: 'an engine that finds nothing of what it told of is not believed, and is again once it agrees',
    steps: [
      [0, live(3), 'live', 'exact'],
      [1, [320, 0, undefined, 7], 'live', 'exact'],
      [2, [320, 0], 'untrusted', 'approximate'],
      [3, [320, 320, 320, 11], 'untrusted', 'approximate'],
      [4, [320, 320, 320], 'live', 'exact'],
    ],
  },
  {
    name: 'one that has more than it told of is not believed either',
    steps: [
      [0, live(3), 'live', 'exact'],
      [1, [0, 320, undefined, 8], 'untrusted', 'approximate'],
    ],
  },
  {
    name: 'a little off, or now and then, is no contradiction',
    steps: [
      [0, live(3), 'live', 'exact'],
      [1, [320, 320 - slack, undefined, 16], 'live', 'exact'],
      [2, [320, 0, undefined, 7], 'live', 'exact'],
    ],
  },
  {
    name: 'where predictions fail too, load alone counts, and after a while predictions are tried again',
    steps: [
      [0, live(3), 'live', 'exact'],
      [1, [320, 0, undefined, 8], 'untrusted', 'approximate'],
      [2, [320, 0, 320, 7], 'untrusted', 'approximate'],
      [3, [320, 0, 320], 'untrusted', 'load'],
      [32, live(4), 'untrusted', 'load'],
      [33, live(5), 'untrusted', 'approximate'],
      [34, [320, 320, 320, 12], 'live', 'exact'],
    ],
  },
];

describe('a rank', () => {
  test.each(stories)('$name', ({ steps }) => {
    const trust = new RankTrust();
    for (const [seconds, what, state, level] of steps) {
      const now = seconds * 1_000;
      if (what === 'owes') trust.owes(now);
      else if (what === 'none') trust.observe(undefined, now);
      else if (what !== undefined && 'state' in what) trust.observe(what, now);
      else if (what !== undefined) {
        const [exact, cached, approximate, times = 1] = what;
        for (let time = 0; time < times; time++)
          trust.answered({ exact: { least: exact, most: exact }, cached, slack, ...(approximate === undefined ? {} : { approximate }) }, now);
      }
      expect([seconds, trust.state, trust.level]).toEqual([seconds, state, level]);
    }
  });

  test('is asked for everything again while it is not believed, with a pause between', () => {
    const trust = new RankTrust();
    trust.observe(live(1), 0);
    expect(trust.heals(0)).toBe(false);
    trust.observe(degraded(2), 1_000);
    expect([trust.heals(1_000), trust.heals(2_000), trust.heals(30_999), trust.heals(31_000)]).toEqual([true, false, false, true]);
    trust.observe(live(9), 40_000);
    expect(trust.heals(90_000)).toBe(false);
  });

  test('comes under suspicion before it is lowered, so that there are predictions to fall back on', () => {
    const trust = new RankTrust();
    trust.observe(live(1), 0);
    expect(trust.suspect).toBe(false);
    trust.answered({ exact: { least: 320, most: 320 }, cached: 0, slack }, 0);
    expect([trust.suspect, trust.level]).toEqual([true, 'exact']);
  });
});
