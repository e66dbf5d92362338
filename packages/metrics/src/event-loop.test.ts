import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { watchEventLoop } from './event-loop.ts';
import { Metrics } from './metrics.ts';

beforeEach(() => void vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] }));
afterEach(() => void vi.useRealTimers());

test('the canary runs while somebody scrapes, and tells how late the loop is', async () => {
  const metrics = new Metrics();
  const watch = watchEventLoop(metrics);
  expect(vi.getTimerCount()).toBe(0);
  expect(await metrics.text()).toContain('event_loop_delay_seconds_count 0\n');
  vi.advanceTimersByTime(50);
  expect(await metrics.text()).toContain('event_loop_delay_seconds_count 5\n');
  // The loop is blocked for 7 ms: the next wake is late by them.
  vi.setSystemTime(0);
  const now = performance.now();
  vi.spyOn(performance, 'now').mockReturnValueOnce(now + 17);
  vi.advanceTimersByTime(10);
  const text = await metrics.text();
  expect(text).toContain('event_loop_stall_total 1\n');
  expect(text).toContain('event_loop_delay_seconds_bucket{le="0.005"} 5\nevent_loop_delay_seconds_bucket{le="0.01"} 6\n');
  watch[Symbol.dispose]();
  expect(vi.getTimerCount()).toBe(0);
  await metrics.text();
  expect(vi.getTimerCount()).toBe(0);
});

test('without scrapes it stops by itself, and the next scrape starts it again', async () => {
  const metrics = new Metrics();
  using _watch = watchEventLoop(metrics);
  await metrics.text();
  vi.advanceTimersByTime(299_000);
  expect(vi.getTimerCount()).toBe(1);
  vi.advanceTimersByTime(2_000);
  expect(vi.getTimerCount()).toBe(0);
  await metrics.text();
  expect(vi.getTimerCount()).toBe(1);
});
