import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { Registration } from './registration.ts';

/** A discovery that takes its time and writes down what it does. */
function slow(fail: { put?: boolean; remove?: boolean } = {}) {
  const log: string[] = [];
  const registration = new Registration(async () => {
    await sleep(5);
    if (fail.put === true) throw new Error('no put');
    log.push('put');
    return {
      async [Symbol.asyncDispose]() {
        await sleep(5);
        if (fail.remove === true) throw new Error('no removal');
        log.push('remove');
      },
    };
  });
  return { registration, log, fail };
}

test('twice is as good as once, also at the same time', async () => {
  const { registration, log } = slow();
  await Promise.all([registration.resume(), registration.resume()]);
  await registration.resume();
  await Promise.all([registration.pause(), registration.pause()]);
  await registration.pause();
  expect(log).toEqual(['put', 'remove']);
});

test('calls that overlap take effect one after the other, and the last one counts', async () => {
  const { registration, log } = slow();
  await Promise.all([registration.resume(), registration.pause(), registration.resume(), registration.pause(), registration.resume()]);
  expect(log).toEqual(['put', 'remove', 'put', 'remove', 'put']);
});

test('after the end nothing comes back, also not what was asked for before the end was over', async () => {
  const { registration, log } = slow();
  await registration.resume();
  const ending = registration.end();
  await expect(registration.resume()).rejects.toMatchObject({ code: 'unavailable' });
  await ending;
  await expect(registration.resume()).rejects.toMatchObject({ code: 'unavailable' });
  await registration.pause();
  expect(log).toEqual(['put', 'remove']);
});

test('what failed is told to whoever asked, and can be asked for again', async () => {
  const { registration, log, fail } = slow({ put: true });
  await expect(registration.resume()).rejects.toThrow('no put');
  fail.put = false;
  await registration.resume();
  fail.remove = true;
  await expect(registration.pause()).rejects.toThrow('no removal');
  fail.remove = false;
  await registration.pause();
  expect(log).toEqual(['put', 'remove']);
});
