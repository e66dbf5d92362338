import { expect, test } from 'vitest';
import { inOrder } from './in-order.ts';

async function* numbers(count: number): AsyncGenerator<number> {
  for (let at = 0; at < count; at++) yield at;
}

const never = new AbortController().signal;

test('results are written in the order of the items, however long each takes', async () => {
  const written: number[] = [];
  let running = 0;
  let most = 0;
  await inOrder(numbers(200), {
    concurrency: 4,
    signal: never,
    async work(item) {
      most = Math.max(most, ++running);
      for (let turn = (item * 7) % 11; turn > 0; turn--) await new Promise(setImmediate);
      running--;
      return item;
    },
    write: async (result) => void written.push(result),
  });
  expect(written).toEqual(Array.from({ length: 200 }, (_, at) => at));
  expect(most).toBe(4);
});

test('one slow item bounds how far the others run ahead, and then all are written', async () => {
  const slow = Promise.withResolvers<void>();
  const written: number[] = [];
  let begun = 0;
  const all = inOrder(numbers(500), {
    concurrency: 2,
    signal: never,
    async work(item) {
      begun++;
      if (item === 0) await slow.promise;
      return item;
    },
    write: async (result) => void written.push(result),
  });
  for (let turn = 0; turn < 500; turn++) await new Promise(setImmediate);
  expect(begun).toBe(32);
  slow.resolve();
  await all;
  expect(written).toHaveLength(500);
});

test('an abort begins nothing more, and writes nothing more', async () => {
  const stop = new AbortController();
  const written: number[] = [];
  await inOrder(numbers(100), {
    concurrency: 3,
    signal: stop.signal,
    async work(item) {
      if (item === 10) stop.abort();
      await new Promise(setImmediate);
      return item;
    },
    write: async (result) => void written.push(result),
  });
  expect(written.length).toBeLessThanOrEqual(10);
  expect(written).toEqual(written.map((_, at) => at));
});

test('what fails ends all of it', async () => {
  const failing = inOrder(numbers(100), {
    concurrency: 3,
    signal: never,
    work: async (item) => item,
    write: async (result) => {
      if (result === 5) throw new Error('the disk is full');
    },
  });
  await expect(failing).rejects.toThrow('the disk is full');
});
