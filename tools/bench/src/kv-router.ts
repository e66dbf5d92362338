import { fork } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { fileURLToPath } from 'node:url';
import { KvPublisher } from '@dynamo/kv-router';
import { KvRouting, PromptHasher } from '@dynamo/kv-router/internal';
import { DistributedRuntime } from '@dynamo/runtime';
import { encodeInstance, mem, MemEvents, memEvents, MemStore, parseEndpointPath } from '@dynamo/runtime/internal';

const path = 'bench.backend.generate';
const blockSize = 64;
const isl = 8_192;

/** Prompts of which the first half is one of sixteen, as the shared harness makes them for the real router. */
function prompts(count: number): number[][] {
  let state = 7;
  const token = (): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * 150_000);
  };
  const list = (length: number): number[] => Array.from({ length }, token);
  const shared = Array.from({ length: 16 }, () => list(isl / 2));
  return Array.from({ length: count }, (_, at) => [...(shared[at % 16] ?? []), ...list(isl / 2)]);
}

/** How long a whole decision takes with 8k-token prompts: hashing, overlaps, costs, and for `reserve` the books. */
export async function decisions({ calls }: { calls: number }): Promise<void> {
  console.log('| workers | best p50, us | p99 | reserve and free p50, us | p99 | CPU a best, us |');
  console.log('|---:|---:|---:|---:|---:|---:|');
  for (const workers of [1, 8, 64, 512]) {
    await using fleet = await openFleet(workers);
    const asked = prompts(256);
    for (const [at, tokenIds] of asked.slice(0, 64).entries()) fleet.hold(at % workers, tokenIds);
    const query = async (at: number): Promise<void> => void (await fleet.routing.place({ model: 'm', tokenIds: asked[at % 256] ?? [] }, {}));
    const book = async (at: number): Promise<void> => {
      (await fleet.routing.book({ model: 'm', tokenIds: asked[at % 256] ?? [] }, {})).free();
    };
    const cells: string[] = [];
    let cpu = 0;
    for (const run of [query, book]) {
      for (let at = 0; at < calls / 4; at++) await run(at);
      const taken: number[] = [];
      const before = process.cpuUsage();
      for (let at = 0; at < calls; at++) {
        const began = performance.now();
        await run(at);
        taken.push((performance.now() - began) * 1_000);
      }
      const { user, system } = process.cpuUsage(before);
      if (run === query) cpu = (user + system) / calls;
      taken.sort((a, b) => a - b);
      for (const part of [0.5, 0.99]) cells.push((taken[Math.floor(taken.length * part)] ?? 0).toFixed(0));
    }
    console.log(`| ${workers} | ${cells.join(' | ')} | ${cpu.toFixed(0)} |`);
  }
}

/** A router over workers that are only records, and whose caches are what the bench says. */
async function openFleet(workers: number) {
  const store = new MemStore();
  const hub = new MemEvents();
  const stack = new AsyncDisposableStack();
  const discovery = stack.use(mem(store));
  for (let at = 0; at < workers; at++) {
    const transport = { tcp: `127.0.0.1:1/${at}` };
    await discovery.put(
      encodeInstance({ id: BigInt(at + 1), namespace: 'bench', component: 'backend', endpoint: 'generate', transport, codec: 'msgpack' }),
    );
  }
  const runtime = stack.use(await DistributedRuntime.connect({ discovery: mem(store), eventPlane: memEvents(hub) }));
  const routing = stack.use(await KvRouting.open(runtime, parseEndpointPath(path), { blockSize }));
  await routing.ready();
  const hasher = new PromptHasher(routing.index.core);
  return {
    routing,
    /** Lets a worker have a prompt in its cache. */
    hold(worker: number, tokenIds: readonly number[]): void {
      const { local, sequence } = hasher.hashes(tokenIds, { blockSize });
      const blocks = Array.from(sequence, (blockHash, at) => ({ blockHash, tokensHash: local[at] ?? 0n }));
      const change = { type: 'stored', parent: undefined, blocks } as const;
      routing.index.apply({ workerId: BigInt(worker + 1), dpRank: 0, tier: 'device', domain: 'worker', id: 1, change });
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

/** One round of an engine's life: `count` stores of so many blocks, each behind the one before. */
function publish(publisher: KvPublisher, round: { first: number; count: number; blocks: number; tokens: readonly number[] }): void {
  const { first, count, blocks, tokens } = round;
  for (let event = 0; event < count; event++) {
    const base = (first + event) * blocks;
    const hashes = Array.from({ length: blocks }, (_, at) => BigInt(base + at + 1));
    publisher.stored({ tokenIds: tokens, hashes, ...(base === 0 ? {} : { parent: BigInt(base) }) });
  }
}

const tokensOf = (blocks: number): number[] => Array.from({ length: blocks * 16 }, (_, at) => at);

/** How many events a second a worker can tell of, hashing and its own index included. */
export async function publisher({ events }: { events: number }): Promise<void> {
  console.log('| blocks an event | events/s | blocks/s | CPU an event, us |');
  console.log('|---:|---:|---:|---:|');
  for (const blocks of [1, 8, 64]) {
    await using stack = new AsyncDisposableStack();
    const runtime = stack.use(await DistributedRuntime.connect({ discovery: mem(new MemStore()), eventPlane: memEvents(new MemEvents()) }));
    const told = await KvPublisher.open(runtime, path, { blockSize: 16 });
    const tokens = tokensOf(blocks);
    publish(told, { first: 0, count: 2_000, blocks, tokens });
    const before = process.cpuUsage();
    const began = performance.now();
    publish(told, { first: 2_000, count: events, blocks, tokens });
    const seconds = (performance.now() - began) / 1_000;
    const { user, system } = process.cpuUsage(before);
    const rate = events / seconds;
    console.log(`| ${blocks} | ${rate.toFixed(0)} | ${(rate * blocks).toFixed(0)} | ${((user + system) / events).toFixed(1)} |`);
  }
}

/** How late the event loop of a router is while workers tell of as many events as they can, over sockets, and requests are placed. */
export async function underEvents({ workers, seconds }: { workers: number; seconds: number }): Promise<void> {
  const root = await mkdtemp(join(tmpdir(), 'kv-bench-'));
  Object.assign(process.env, { DYN_FILE_KV: root, DYN_TCP_RPC_HOST: '127.0.0.1', DYN_TCP_RESPONSE_STREAM_HOST: '127.0.0.1' });
  await using stack = new AsyncDisposableStack();
  stack.defer(() => rm(root, { recursive: true, force: true }));
  const child = fork(fileURLToPath(import.meta.url), ['publish', String(workers)], { execArgv: ['--conditions=@dynamo/source'] });
  stack.defer(() => void child.kill('SIGKILL'));
  const runtime = stack.use(await DistributedRuntime.connect());
  const routing = stack.use(await KvRouting.open(runtime, parseEndpointPath(path), { blockSize: 16 }));
  while (routing.sources().filter(({ state }) => state === 'live').length < workers) await new Promise((resolve) => setTimeout(resolve, 50));
  const asked = prompts(64);
  console.log('| workers | events/s applied | CPU an event, us | loop delay p50 / p99 / max, ms | decision p50 / p99, us | gaps |');
  console.log('|---:|---:|---:|---:|---:|---:|');
  // What the machine does to this process on its own, first.
  for (const load of [0, workers]) {
    if (load > 0) child.send('go');
    await new Promise((resolve) => setTimeout(resolve, 500));
    const { applied, cpu, cells } = await observe(routing, { asked, seconds });
    const gaps = routing.sources().reduce((sum, source) => sum + source.gaps, 0);
    console.log(
      `| ${load} | ${(applied / seconds).toFixed(0)} | ${load === 0 ? '' : (cpu / Math.max(1, applied)).toFixed(1)} | ${cells} | ${gaps} |`,
    );
  }
}

/** Places a request every few milliseconds for a while, and watches the event loop. */
async function observe(routing: KvRouting, { asked, seconds }: { asked: readonly number[][]; seconds: number }) {
  const delay = monitorEventLoopDelay({ resolution: 1 });
  const applied = (): number => routing.index.counts().events.ok;
  const [first, began, before] = [applied(), performance.now(), process.cpuUsage()];
  delay.enable();
  const taken: number[] = [];
  while (performance.now() - began < seconds * 1_000) {
    const from = performance.now();
    await routing.place({ model: 'm', tokenIds: asked[taken.length % asked.length] ?? [] }, {});
    taken.push(performance.now() - from);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  delay.disable();
  const { user, system } = process.cpuUsage(before);
  taken.sort((a, b) => a - b);
  const at = (part: number): string => ((taken[Math.floor(taken.length * part)] ?? 0) * 1_000).toFixed(0);
  const delays = [delay.percentile(50), delay.percentile(99), delay.max].map((nanos) => (nanos / 1e6).toFixed(1)).join(' / ');
  return { applied: applied() - first, cpu: user + system, cells: `${delays} | ${at(0.5)} / ${at(0.99)}` };
}

/** The other process: publishers that never rest. */
async function neverRest(workers: number): Promise<void> {
  const publishers: KvPublisher[] = [];
  for (let worker = 0; worker < workers; worker++) {
    const runtime = await DistributedRuntime.connect();
    await runtime.serve(path, async function* () {});
    publishers.push(await KvPublisher.open(runtime, path, { blockSize: 16 }));
  }
  await new Promise((resolve) => process.once('message', resolve));
  const tokens = tokensOf(4);
  for (let first = 0; ; first += 16) {
    for (const told of publishers) publish(told, { first, count: 16, blocks: 4, tokens });
    await new Promise((resolve) => setImmediate(resolve));
  }
}

if (process.argv[2] === 'publish') await neverRest(Number(process.argv[3]));
