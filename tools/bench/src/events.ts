import { batchesOf, type EventPlane, encodeMsgpack, MemEvents, memEvents } from '@dynamo/runtime/internal';
import { DistributedRuntime } from '@dynamo/runtime';

/** Where the events of the bench belong. */
const scope = { namespace: 'bench', component: 'backend', endpoint: 'generate' };

/** As many are under way at most: the sockets' own limit is ten times that. */
const window = 10_000;

/**
 * Events a second through the event planes, publisher and subscriber in this one process, so on one thread of JavaScript.
 *
 * `nats` needs a server at `NATS_SERVER`.
 */
export async function events(options: { planes: readonly string[]; count: number; bytes: number }): Promise<void> {
  for (const name of options.planes) {
    const rounds: { rate: number; cpuUs: number }[] = [];
    for (let round = 0; round < 3; round++) rounds.push(await run(name, options));
    const told = rounds.map(({ rate, cpuUs }) => `${(rate / 1_000).toFixed(1)}k (${cpuUs.toFixed(1)} µs)`);
    console.log(`${name.padEnd(5)} ${options.bytes} bytes: ${told.join(', ')} events/s (CPU of both ends for each)`);
  }
}

async function run(name: string, { count, bytes }: { count: number; bytes: number }): Promise<{ rate: number; cpuUs: number }> {
  const hub = new MemEvents();
  const eventPlane = (): EventPlane | 'zmq' | 'nats' => (name === 'mem' ? memEvents(hub) : (name as 'zmq' | 'nats'));
  await using speaking = await DistributedRuntime.connect({ discovery: 'file', eventPlane: eventPlane() });
  await using hearing = await DistributedRuntime.connect({ discovery: 'file', eventPlane: eventPlane() });
  await using publisher = await speaking.events.publish(scope, 'bench');
  const payload = encodeMsgpack(new Uint8Array(bytes));
  const stop = new AbortController();
  const ready = Promise.withResolvers<void>();
  let arrived = 0;
  const reading = (async () => {
    for await (const batch of batchesOf(hearing.events.subscribe(scope, 'bench', { signal: stop.signal }))) {
      for (const change of batch) {
        if (change.type === 'joined') ready.resolve();
        else if (change.type === 'event') arrived++;
        else throw new Error(`not all arrived: ${change.type}`);
      }
      if (arrived === count) return;
    }
  })();
  await ready.promise;
  const start = performance.now();
  const cpu = process.cpuUsage();
  for (let sent = 0; sent < count;) {
    for (let i = 0; i < 100 && sent < count && sent - arrived < window; i++, sent++) publisher.publish(payload);
    await new Promise(setImmediate);
  }
  await reading;
  const { user, system } = process.cpuUsage(cpu);
  return { rate: count / ((performance.now() - start) / 1_000), cpuUs: (user + system) / count };
}
