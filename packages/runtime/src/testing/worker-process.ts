// A worker of its own process, as operators write them: it serves until SIGTERM, leaves discovery, waits a moment for
// callers to hear of it, and drains. Variables set where and how.
import { setTimeout as sleep } from 'node:timers/promises';
import { DistributedRuntime } from '../runtime.ts';

const drainMs = Number(process.env['TEST_DRAIN_MS'] ?? '20000');
const graceMs = Number(process.env['TEST_GRACE_MS'] ?? '500');
const runtime = await DistributedRuntime.connect({ discovery: 'file', drainMs });
const served = await runtime.serve<{ n: number; delayMs?: number }, { i: number; pid: number }>(
  'demo.fleet.generate',
  async function* ({ n, delayMs }, { signal }) {
    for (let i = 0; i < n && !signal.aborted; i++) {
      if (delayMs !== undefined) await sleep(delayMs, undefined, { signal });
      yield { i, pid: process.pid };
    }
  },
);
process.once('SIGTERM', () => {
  void (async () => {
    await served.pause();
    await sleep(graceMs);
    await runtime[Symbol.asyncDispose]();
    process.stdout.write('ended\n');
  })();
});
process.stdout.write(`ready ${served.instance.id}\n`);
