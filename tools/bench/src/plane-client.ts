import { DistributedRuntime } from '@dynamo/runtime';

const [path, told, seconds] = process.argv.slice(2) as [`${string}.${string}.${string}`, string, string];
const load = JSON.parse(told) as { items: number; inFlight: number; requestBytes?: number; itemBytes?: number };
await using runtime = await DistributedRuntime.connect({ discovery: 'file' });
await using client = await runtime.client<{ n: number; bytes: number; text: string }, unknown>(path);
await client.ready();
const tally = { calls: 0, items: 0, latencies: [] as number[] };
const request = { n: load.items, bytes: load.itemBytes ?? 0, text: 'x'.repeat(load.requestBytes ?? 0) };

async function lane(endMs: number): Promise<void> {
  while (performance.now() < endMs) {
    const began = performance.now();
    for await (const _ of client.generate(request)) tally.items++;
    tally.latencies.push(performance.now() - began);
    tally.calls++;
  }
}
const lanes = (forSeconds: number): Promise<void[]> => {
  const end = performance.now() + forSeconds * 1e3;
  return Promise.all(Array.from({ length: load.inFlight }, () => lane(end)));
};

await lanes(1);
Object.assign(tally, { calls: 0, items: 0, latencies: [] });
console.log('begun');
const cpu = process.cpuUsage();
const began = performance.now();
await lanes(Number(seconds));
const wallSeconds = (performance.now() - began) / 1e3;
const used = process.cpuUsage(cpu);
tally.latencies.sort((a, b) => a - b);
const at = (share: number): number => tally.latencies[Math.floor(tally.latencies.length * share)] ?? Number.NaN;
console.log(
  JSON.stringify({
    calls: tally.calls,
    callsPerSecond: tally.calls / wallSeconds,
    itemsPerSecond: tally.items / wallSeconds,
    callerCpuUs: (used.user + used.system) / tally.calls,
    p50Ms: at(0.5),
    p99Ms: at(0.99),
  }),
);
