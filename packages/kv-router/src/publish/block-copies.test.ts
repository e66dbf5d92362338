import { expect, test } from 'vitest';
import { BlockCopies } from './block-copies.ts';

test('only the last copy of a block is gone, by rank and tier', () => {
  const copies = new BlockCopies();
  const list = (...hashes: bigint[]): BigUint64Array => BigUint64Array.from(hashes);
  copies.add(list(1n, 2n, 3n), 0, 'device');
  copies.add(list(2n), 0, 'device');
  copies.add(list(2n), 1, 'device');
  copies.add(list(3n), 0, 'disk');
  expect(copies.remove([2n, 3n], 0, 'device')).toEqual([3n]);
  expect(copies.remove([2n], 0, 'device')).toEqual([2n]);
  expect(copies.remove([2n], 1, 'device')).toEqual([2n]);
  expect(copies.remove([3n], 0, 'disk')).toEqual([3n]);
  // Never told of, or gone already: passed on.
  expect(copies.remove([3n, 9n], 0, 'device')).toEqual([3n, 9n]);
});

test('a hash that is named twice drops two copies', () => {
  const copies = new BlockCopies();
  copies.add(BigUint64Array.of(5n), 0, 'device');
  copies.add(BigUint64Array.of(5n), 0, 'device');
  expect(copies.remove([5n, 5n], 0, 'device')).toEqual([5n]);
});

test('a rank that is cleared has no copies on any tier, and others keep theirs', () => {
  const copies = new BlockCopies();
  for (const tier of ['device', 'host_pinned'] as const)
    for (const rank of [0, 1]) for (let n = 0; n < 2; n++) copies.add(BigUint64Array.of(7n), rank, tier);
  copies.clear(0);
  copies.add(BigUint64Array.of(7n), 0, 'device');
  expect([copies.remove([7n], 0, 'device'), copies.remove([7n], 1, 'device'), copies.remove([7n], 1, 'host_pinned')]).toEqual([[7n], [], []]);
});
