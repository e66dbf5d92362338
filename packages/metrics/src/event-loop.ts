import type { Metrics } from './metrics.ts';

/** How long each sleep of the canary should be, and from which delay on the loop is said to stall (spec metrics 6). */
const sleepMs = 10;
const stallMs = 5;

/** Sleeps without a scrape after which the canary stops: about five minutes. */
const idleSleeps = 30_000;

/**
 * Measures how late the event loop is, while somebody scrapes: the canary starts with the first text and stops when none was
 * asked for in minutes, so that a process without monitoring is not woken for it. Disposing ends it.
 */
export function watchEventLoop(metrics: Metrics): Disposable {
  const delay = metrics.histogram('event_loop_delay_seconds', 'Event loop delay canary: drift from 10ms sleep (seconds)', {
    buckets: [0, 0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1],
  });
  const stalls = metrics.counter('event_loop_stall_total', 'Number of event loop stalls (delay > 5ms)');
  let timer: NodeJS.Timeout | undefined;
  let sleepsLeft = 0;
  let asleepSince = 0;
  const stop = (): void => {
    clearInterval(timer);
    timer = undefined;
  };
  const wake = (): void => {
    const now = performance.now();
    const lateMs = Math.max(0, now - asleepSince - sleepMs);
    asleepSince = now;
    delay.observe(lateMs / 1_000);
    if (lateMs > stallMs) stalls.inc();
    if (--sleepsLeft <= 0) stop();
  };
  const update = metrics.onScrape(() => {
    sleepsLeft = idleSleeps;
    if (timer !== undefined) return;
    asleepSince = performance.now();
    timer = setInterval(wake, sleepMs).unref();
  });
  return {
    [Symbol.dispose]: () => {
      update[Symbol.dispose]();
      stop();
    },
  };
}
