import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger } from '@dynamo/runtime/internal';
import { expect, test } from 'vitest';
import type { SiblingMessage, Siblings } from '../frontend/siblings.ts';
import { ApiKeys } from './api-keys.ts';
import { hashKey } from './key-file.ts';
import { SharedSpending } from './shared-spending.ts';

/** Processes that hear each other, and how often one spoke. */
function connected(count: number): { members: Siblings[]; told: () => number } {
  const listeners = Array.from({ length: count }, () => new Set<(message: SiblingMessage) => void>());
  let told = 0;
  const members = listeners.map((own): Siblings => ({
    send(message) {
      told++;
      for (const others of listeners) if (others !== own) for (const listener of others) listener(message);
    },
    onMessage(listener) {
      own.add(listener);
      return { [Symbol.dispose]: () => void own.delete(listener) };
    },
    metrics: () => Promise.resolve(''),
    onScrape: () => ({ [Symbol.dispose]: () => {} }),
  }));
  return { members, told: () => told };
}

test('what is spent, reserved and given back in one process counts in all, told in few messages', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'dynamo-keys-'));
  await using stack = new AsyncDisposableStack();
  stack.defer(() => rm(folder, { recursive: true }));
  const path = join(folder, 'keys');
  await writeFile(path, JSON.stringify({ id: 'a', sha256: hashKey('key').toString('hex'), requestsPerMinute: 100, tokensPerMinute: 1_000 }));
  const { members, told } = connected(3);
  const keys: ApiKeys[] = [];
  for (const member of members) {
    const opened = stack.use(await ApiKeys.open({ path, log: silentLogger, now: () => 0 }));
    stack.use(new SharedSpending(opened, member));
    keys.push(opened);
  }
  const left = (): unknown[] => keys.map((each) => each.find('key')?.allowances.map(({ bucket }) => bucket.left));
  const account = keys[0]?.find('key');
  const books = account?.openBooks();
  for (let i = 0; i < 40; i++) account?.takeRequest();
  keys[1]?.find('key')?.takeRequest();
  books?.reserve(100, 500);
  await expect.poll(left).toEqual([
    [59, 400],
    [59, 400],
    [59, 400],
  ]);
  books?.spend(20);
  books?.settle(false);
  await expect.poll(left).toEqual([
    [59, 880],
    [59, 880],
    [59, 880],
  ]);
  expect(told()).toBe(3);
});
