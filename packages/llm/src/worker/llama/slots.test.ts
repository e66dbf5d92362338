import { describe, expect, test } from 'vitest';
import { BlockLedger } from './block-ledger.ts';
import { Slots } from './slots.ts';

const never = new AbortController().signal;
const range = (from: number, count: number): number[] => Array.from({ length: count }, (_, at) => from + at);

function slotsOf(held: readonly (readonly number[])[], mostWaiting = 2): Slots<number> {
  return new Slots(
    held.map((tokens, sequence) => ({ sequence, held: { tokens: [...tokens], blocks: [] } })),
    mostWaiting,
  );
}

describe('a prompt gets', () => {
  test.each([
    ['the sequence that it continues', [[], range(0, 50), range(100, 80)], range(100, 90), 2],
    ['an empty one where only a system prompt is common', [range(0, 50), []], [...range(0, 20), ...range(900, 30)], 1],
    ['the one that was not used for longest, where none is empty', [range(0, 50), range(100, 50)], range(700, 10), 0],
    ['the longer of two common beginnings', [range(0, 20), range(0, 30)], range(0, 40), 1],
  ])('%s', async (_name, held, tokens, expected) => {
    expect((await slotsOf(held).take(tokens, never))?.sequence).toBe(expected);
  });
});

test('requests wait in order, leave when asked to, and are refused where too many wait', async () => {
  const slots = slotsOf([[]]);
  const first = await slots.take([1], never);
  const leaving = new AbortController();
  const second = slots.take([2], leaving.signal);
  const third = slots.take([3], never);
  await expect(slots.take([4], never)).rejects.toMatchObject({ code: 'worker_overloaded' });
  leaving.abort();
  expect(await second).toBeUndefined();
  expect(slots.waiting).toBe(1);
  slots.release(first!);
  expect((await third)?.sequence).toBe(0);
  expect(slots.busy).toHaveLength(1);
  slots.release((await third)!);
  expect(slots.busy).toHaveLength(0);
});

describe('blocks', () => {
  const told: unknown[] = [];
  const ledger = new BlockLedger(4);
  ledger.news = {
    stored: ({ tokenIds, hashes, parent }) => void told.push({ stored: tokenIds, count: hashes.length, hasParent: parent !== undefined }),
    removed: (hashes) => void told.push({ removed: hashes.length }),
  };
  const news = (): unknown[] => told.splice(0);
  const a = ledger.open();
  const b = ledger.open();

  test('are told when they are whole, with the one before them', () => {
    ledger.extend(a, range(0, 6));
    ledger.extend(a, [6]);
    ledger.extend(a, [7]);
    expect(news()).toEqual([
      { stored: range(0, 4), count: 1, hasParent: false },
      { stored: range(4, 4), count: 1, hasParent: true },
    ]);
  });

  test('that two sequences hold are told once, and are gone with the last of the two', () => {
    ledger.extend(b, [...range(0, 8), ...range(50, 4)]);
    expect(news()).toEqual([{ stored: range(50, 4), count: 1, hasParent: true }]);
    ledger.truncate(a, 0);
    expect(news()).toEqual([]);
    ledger.truncate(b, 7);
    expect(news()).toEqual([{ removed: 2 }]);
    expect(b.tokens).toEqual(range(0, 7));
    ledger.truncate(b, 0);
    expect(news()).toEqual([{ removed: 1 }]);
  });
});
