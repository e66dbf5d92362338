import fc from 'fast-check';
import { expect, test } from 'vitest';
import { silentLogger } from '../../log.ts';
import { newCounts } from './counts.ts';
import type { EventChange } from './event-plane.ts';
import { EventFeed, type FeedOptions } from './feed.ts';

const payload = new Uint8Array(0);

function open(options: Partial<FeedOptions> = {}) {
  const counts = newCounts();
  const feed = new EventFeed({ capacity: 1_000, counts, log: silentLogger, ...options });
  const reader = feed.batches();
  return {
    feed,
    counts,
    say: (publisher: bigint, sequence: number, publishedAt = 0) => feed.message({ publisher, sequence, publishedAt, topic: 't', payload }),
    /** What waits; only when something does. */
    read: async (): Promise<readonly EventChange[]> => ((await reader.next()).value as readonly EventChange[] | undefined) ?? [],
  };
}

const words = (changes: readonly EventChange[]): string[] =>
  changes.map((change) => {
    if (change.type === 'event') return `${change.publisher}:${change.sequence}`;
    return change.type === 'gap' ? `${change.publisher}:gap ${change.from}-${change.to}` : `${change.publisher}:${change.type}`;
  });

interface Step {
  readonly of: bigint;
  readonly do: 'say' | 'again' | 'anew' | 'leave' | 'read';
  /** How many numbers are lost before it is said. */
  readonly skip: number;
}
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.record({
    of: fc.constantFrom(1n, 2n),
    do: fc.constantFrom('say' as const, 'say' as const, 'say' as const, 'again' as const, 'anew' as const, 'leave' as const, 'read' as const),
    skip: fc.constantFrom(0, 0, 0, 1, 5),
  }),
  { maxLength: 60 },
);

test('whatever happens, and however slow the reader: every number is an event or in a gap, in order, and who is there is known', async () => {
  await fc.assert(
    fc.asyncProperty(steps, fc.integer({ min: 1, max: 6 }), async (plan, capacity) => {
      const { feed, say, read, counts } = open({ capacity });
      const next = new Map<bigint, number>();
      const present = new Set<bigint>();
      let waiting = 0;
      const told: EventChange[] = [];
      for (const step of plan) {
        if (step.do === 'read') {
          if (waiting > 0) told.push(...(await read()));
          waiting = 0;
        } else if (step.do === 'leave') {
          if (present.delete(step.of)) waiting++;
          feed.left(step.of);
          next.delete(step.of);
        } else if (step.do === 'again') {
          feed.joined(step.of);
          present.add(step.of);
          waiting++;
        } else {
          feed.expect(step.of);
          const sequence = step.do === 'anew' ? 0 : (next.get(step.of) ?? 0) + step.skip;
          next.set(step.of, sequence + 1);
          say(step.of, sequence);
          present.add(step.of);
          waiting++;
        }
      }
      if (waiting > 0) told.push(...(await read()));
      const known = new Map<bigint, number | undefined>();
      let events = 0;
      for (const change of told) {
        const { publisher } = change;
        if (change.type === 'joined') known.set(publisher, undefined);
        else if (change.type === 'left') known.delete(publisher);
        else {
          expect(known.has(publisher)).toBe(true);
          const from = change.type === 'gap' ? change.from : change.sequence;
          const to = change.type === 'gap' ? change.to : change.sequence + 1;
          if (change.type === 'event') events++;
          const expected = known.get(publisher);
          if (expected !== undefined) expect(from).toBe(expected);
          expect(to).toBeGreaterThan(from);
          known.set(publisher, to);
        }
      }
      expect(new Set(known.keys())).toEqual(present);
      for (const [publisher, to] of next) if (known.get(publisher) !== undefined) expect(known.get(publisher)).toBe(to);
      expect(events + counts.overflowed).toBe(counts.received);
    }),
    { numRuns: 500 },
  );
});

test('where messages may come twice, the time at which they were sent tells a copy from a new beginning', async () => {
  const { say, read, counts } = open({ mayRepeat: true });
  for (const [sequence, publishedAt] of [
    [0, 10],
    [1, 11],
    [0, 10],
    [1, 11],
    [2, 11],
    [2, 11],
    [0, 12],
    [1, 12],
  ] as const)
    say(1n, sequence, publishedAt);
  expect(words(await read())).toEqual(['1:joined', '1:0', '1:1', '1:2', '1:joined', '1:0', '1:1']);
  expect(counts).toMatchObject({ received: 5, ignored: 3 });
});

test('past the most publishers that are kept, the one known longest is told as left, and heard again as joined', async () => {
  const { say, read } = open({ maxPublishers: 2 });
  for (const publisher of [1n, 2n, 3n, 1n]) say(publisher, 7);
  expect(words(await read())).toEqual(['1:joined', '1:7', '2:joined', '2:7', '1:left', '3:joined', '3:7', '2:left', '1:joined', '1:7']);
});

test('the end cuts what waits, a failure comes after it', async () => {
  const ended = open();
  ended.say(1n, 0);
  ended.feed.end();
  expect(await ended.read()).toEqual([]);
  const failed = open();
  failed.say(1n, 0);
  failed.feed.fail(new Error('socket'));
  expect(words(await failed.read())).toEqual(['1:joined', '1:0']);
  await expect(failed.read()).rejects.toThrow('socket');
});
