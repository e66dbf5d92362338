import { getEventListeners } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Client, DistributedRuntime, DynamoError } from '@dynamo/runtime';
import { mem, MemStore } from '@dynamo/runtime/internal';

interface Asked {
  readonly items: number;
  readonly fail?: boolean;
}

/** What must not grow. */
interface Held {
  readonly heapBytes: number;
  readonly rssBytes: number;
  readonly sockets: number;
  readonly timers: number;
  readonly listeners: number;
}

const lanes = 64;
const workers = 4;

/**
 * Sends very many calls of every kind and outcome to workers in this process, and tells what is held after each part.
 *
 * Of a hundred calls, four are streams that are read, three are left in the middle, three fail in the handler, two are
 * cancelled by their signal, and one in three belongs to one of ever new sessions. Needs `NODE_OPTIONS=--expose-gc`.
 */
export async function soak(options: { calls: number; parts: number }): Promise<void> {
  const store = new MemStore();
  await using stack = new AsyncDisposableStack();
  for (let i = 0; i < workers; i++) {
    const runtime = stack.use(await DistributedRuntime.connect({ discovery: mem(store) }));
    await runtime.serve<Asked, number>('bench.soak.generate', async function* ({ items, fail }) {
      for (let item = 0; item < items; item++) yield item;
      if (fail === true) throw new DynamoError('invalid_argument', 'asked to fail');
    });
  }
  const caller = stack.use(await DistributedRuntime.connect({ discovery: mem(store) }));
  const clients: Client<Asked, number>[] = [];
  for (const policy of ['round-robin', 'least-loaded', 'power-of-two', 'device-aware-weighted'] as const)
    clients.push(await caller.client('bench.soak.generate', { policy, affinity: { ttlMs: 2_000, mode: 'soft' } }));
  for (const client of clients) await client.ready({ min: workers });
  const shared = new AbortController();
  const send = async (calls: number): Promise<void> => {
    let next = 0;
    const lane = async (): Promise<void> => {
      while (next < calls) await call(clients, next++, shared.signal);
    };
    await Promise.all(Array.from({ length: lanes }, lane));
  };
  const each = Math.ceil(options.calls / options.parts);
  await send(each);
  const first = await held(shared.signal);
  console.log(line(0, 0, first));
  let last = first;
  for (let part = 1; part <= options.parts; part++) {
    const started = performance.now();
    await send(each);
    const rate = each / ((performance.now() - started) / 1_000);
    last = await held(shared.signal);
    console.log(line(part * each, rate, last));
  }
  console.log(
    `over ${options.parts * each} calls: heap ${((last.heapBytes - first.heapBytes) / (options.parts * each)).toFixed(2)} bytes a call, ` +
      `${last.sockets - first.sockets} sockets, ${last.timers - first.timers} timers, ${last.listeners - first.listeners} listeners more`,
  );
}

async function call(clients: readonly Client<Asked, number>[], turn: number, shared: AbortSignal): Promise<void> {
  const kind = turn % 100;
  const client = clients[turn % clients.length]!;
  const own = kind >= 98 ? new AbortController() : undefined;
  const signal = own?.signal ?? shared;
  const session = turn % 3 === 0 ? { session: `session ${Math.floor(turn / 30)}` } : {};
  try {
    for await (const item of client.generate(
      { items: kind < 12 || own !== undefined ? 16 : 1, fail: kind >= 9 && kind < 12 },
      { signal, ...session },
    )) {
      own?.abort();
      if (kind >= 4 && kind < 7 && item === 3) break;
    }
  } catch (error) {
    if (!DynamoError.is(error, 'invalid_argument', 'cancelled')) throw error;
  }
}

async function held(signal: AbortSignal): Promise<Held> {
  const collectGarbage = globalThis.gc;
  if (collectGarbage === undefined) throw new Error('run with NODE_OPTIONS=--expose-gc');
  // Longer than sessions and lingering sockets live.
  await sleep(3_000);
  for (let i = 0; i < 2; i++) await collectGarbage({ execution: 'async', type: 'major' });
  const resources = process.getActiveResourcesInfo();
  const count = (name: string): number => resources.filter((resource) => resource === name).length;
  const { heapUsed, rss } = process.memoryUsage();
  const listeners = getEventListeners(signal, 'abort').length;
  return { heapBytes: heapUsed, rssBytes: rss, sockets: count('TCPSocketWrap'), timers: count('Timeout'), listeners };
}

const mib = (bytes: number): string => (bytes / 2 ** 20).toFixed(1);

const line = (calls: number, rate: number, { heapBytes, rssBytes, sockets, timers, listeners }: Held): string =>
  `${String(calls).padStart(8)} calls  ${rate.toFixed(0).padStart(6)}/s  heap ${mib(heapBytes)} MiB  rss ${mib(rssBytes)} MiB  ` +
  `${sockets} sockets  ${timers} timers  ${listeners} listeners`;
