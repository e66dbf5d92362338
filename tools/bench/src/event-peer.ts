/** Ours in the events bench, in the words of `peers/event_peer.py`. */
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { DistributedRuntime } from '@dynamo/runtime';
import { batchesOf, encodeMsgpack } from '@dynamo/runtime/internal';

/** A subscriber that has waited so long for the next event has lost it, in milliseconds. */
const patienceMs = 3_000;
/** What the real peer sends takes as much. */
const bytes = 437;

const scope = { namespace: 'bench', component: 'backend', endpoint: 'generate' };
const told = async (): Promise<number> => Number(String((await once(process.stdin, 'data'))[0]));
const cpuUs = (since: NodeJS.CpuUsage): number => {
  const { user, system } = process.cpuUsage(since);
  return user + system;
};

async function say(runtime: DistributedRuntime): Promise<void> {
  const publisher = await runtime.events.publish(scope, 'bench');
  const payload = encodeMsgpack(new Uint8Array(bytes));
  let wanted = 0;
  void told().then((number) => (wanted = number));
  console.log('ready');
  while (wanted === 0) {
    publisher.publish(payload);
    await sleep(20);
  }
  await sleep(1_000);
  const cpu = process.cpuUsage();
  const began = performance.now();
  for (let sent = 0; sent < wanted;) {
    for (let i = 0; i < 100 && sent < wanted; i++, sent++) publisher.publish(payload);
    // A publisher that never waits would hold all of them in memory, and lets nothing leave.
    await new Promise(setImmediate);
  }
  const seconds = (performance.now() - began) / 1e3;
  await sleep(patienceMs);
  console.log(JSON.stringify({ cpuUs: cpuUs(cpu) / wanted, seconds }));
}

async function hear(runtime: DistributedRuntime): Promise<void> {
  let [wanted, count, first, last] = [0, 0, 0, 0];
  let cpu = process.cpuUsage();
  const stop = new AbortController();
  const events = runtime.events.subscribe(scope, 'bench', { signal: stop.signal });
  console.log('ready');
  const watch = setInterval(() => {
    if (wanted > 0 && count > 0 && performance.now() - last > patienceMs) stop.abort();
  }, 100);
  for await (const batch of batchesOf(events)) {
    const arrived = batch.reduce((sum, change) => sum + Number(change.type === 'event'), 0);
    if (arrived === 0) continue;
    last = performance.now();
    if (wanted === 0 && count === 0) {
      console.log('heard');
      void told().then((number) => {
        [wanted, count] = [number, 0];
        cpu = process.cpuUsage();
      });
    }
    if (count === 0) first = last;
    count += arrived;
    if (wanted > 0 && count >= wanted) break;
  }
  clearInterval(watch);
  console.log(JSON.stringify({ events: Math.min(count, wanted), seconds: (last - first) / 1e3, cpuUs: cpuUs(cpu) / count }));
}

await using runtime = await DistributedRuntime.connect({ discovery: 'file' });
await (process.argv[2] === 'say' ? say : hear)(runtime);
process.stdin.destroy();
