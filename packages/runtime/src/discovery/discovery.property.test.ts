import { mkdtemp, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Etcd3 } from 'etcd3';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { DynamoError } from '../error.ts';
import { silentLogger } from '../log.ts';
import { startProxy } from '../testing/proxy.ts';
import { missing, startEtcd } from '../testing/servers.ts';
import type { Discovery, DiscoveryRecord } from './discovery.ts';
import { etcd } from './etcd/index.ts';
import { etcdOptionsOf } from './etcd/options.ts';
import { file } from './file/index.ts';
import { fileNameOf } from './file/names.ts';
import { mem, MemStore } from './mem/index.ts';

/** A backend with two writers, one reader, and a stranger whose records expire without a word. */
interface Stage {
  readonly name: string;
  readonly writers: [Discovery, Discovery];
  readonly reader: Discovery;
  reopen(): Promise<Discovery>;
  stranger(record: DiscoveryRecord): Promise<void>;
  expire(key: string): Promise<void>;
  /** Breaks the reader's connection, where there is one. */
  cut(): void;
}

const bucket = 'v1/instances';

async function memStage(stack: AsyncDisposableStack): Promise<Stage> {
  const store = new MemStore();
  const strangers = new Map<string, () => void>();
  const reopen = async (): Promise<Discovery> => stack.use(mem(store));
  return {
    name: 'mem',
    writers: [await reopen(), await reopen()],
    reader: await reopen(),
    reopen,
    async stranger(record) {
      strangers.set(record.key, store.add(record));
    },
    async expire(key) {
      strangers.get(key)?.();
    },
    cut() {},
  };
}

async function fileStage(stack: AsyncDisposableStack): Promise<Stage> {
  const root = await mkdtemp(join(tmpdir(), 'dynamo-property-'));
  stack.defer(() => rm(root, { recursive: true, force: true }));
  const reopen = async (): Promise<Discovery> => stack.use(await file({ root, log: silentLogger }));
  const pathOf = (key: string): string => join(root, bucket, fileNameOf(key));
  return {
    name: 'file',
    writers: [await reopen(), await reopen()],
    reader: await reopen(),
    reopen,
    stranger: (record) => writeFile(pathOf(record.key), record.value),
    expire: (key) => utimes(pathOf(key), 0, 0),
    cut() {},
  };
}

async function etcdStage(stack: AsyncDisposableStack): Promise<Stage> {
  const server = stack.use(await startEtcd());
  const proxy = stack.use(await startProxy(server.port));
  const raw = stack.adopt(new Etcd3({ hosts: server.url }), (client) => client.close());
  const strangers = new Map<string, string>();
  const open = async (port: number): Promise<Discovery> =>
    stack.use(await etcd({ etcd: etcdOptionsOf({ ETCD_ENDPOINTS: `127.0.0.1:${port}` }), log: silentLogger }));
  const reopen = (): Promise<Discovery> => open(server.port);
  return {
    name: 'etcd',
    writers: [await reopen(), await reopen()],
    reader: await open(proxy.port),
    reopen,
    async stranger({ key, value }) {
      const { ID } = await raw.leaseClient.leaseGrant({ TTL: 60 });
      strangers.set(key, ID);
      await raw.put(`${bucket}/${key}`).value(value).lease(ID);
    },
    async expire(key) {
      await raw.leaseClient.leaseRevoke({ ID: strangers.get(key)! });
    },
    cut: () => proxy.cut(),
  };
}

type Step =
  | { readonly do: 'put' | 'delete'; readonly who: 0 | 1; readonly key: string }
  | { readonly do: 'stranger' | 'expire'; readonly key: string }
  | { readonly do: 'leave'; readonly who: 0 | 1 }
  | { readonly do: 'cut' };

const keys = fc.constantFrom('x', 'x/1', 'x/10', 'x1/1', '__proto__', 'constructor/1', '../..', 'é/😀', '%2F', 'a b');
const who = fc.constantFrom(0 as const, 1 as const);
const steps: fc.Arbitrary<readonly Step[]> = fc.array(
  fc.oneof(
    { weight: 8, arbitrary: fc.record({ do: fc.constant('put' as const), who, key: keys }) },
    { weight: 5, arbitrary: fc.record({ do: fc.constant('delete' as const), who, key: keys }) },
    { weight: 3, arbitrary: fc.record({ do: fc.constant('stranger' as const), key: keys }) },
    { weight: 3, arbitrary: fc.record({ do: fc.constant('expire' as const), key: keys }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('leave' as const), who }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('cut' as const) }) },
  ),
  { minLength: 4, maxLength: 24 },
);

/** What should be there: by key, whose it is and what it says. */
class Model {
  readonly held = new Map<string, { readonly owner: 0 | 1 | 'stranger'; readonly value: string }>();
  readonly history: string[] = [];

  /** Applies a step and returns what it answers; changes that one step makes are told in the order of their keys. */
  apply(step: Step, value: string): string {
    if (step.do === 'cut') return 'cut';
    if (step.do === 'leave') {
      const going = [...this.held].filter(([, { owner }]) => owner === step.who).map(([key]) => key);
      for (const key of going.sort()) this.#remove(key);
      return 'left';
    }
    const held = this.held.get(step.key);
    const owner = 'who' in step ? step.who : 'stranger';
    if (step.do === 'delete' || step.do === 'expire') {
      if (held?.owner !== owner) return 'nothing';
      this.#remove(step.key);
      return 'gone';
    }
    if (held !== undefined) return step.do === 'put' ? 'invalid_argument' : 'nothing';
    this.held.set(step.key, { owner, value });
    this.history.push(`put ${step.key} ${value}`);
    return 'put';
  }

  #remove(key: string): void {
    this.held.delete(key);
    this.history.push(`delete ${key}`);
  }
}

/** One backend as a run of steps sees it, below a prefix of its own. */
async function play(stage: Stage, prefix: string, run: readonly Step[]): Promise<void> {
  const model = new Model();
  const puts = new Map<string, AsyncDisposable>();
  const history: string[] = [];
  const stop = new AbortController();
  const bare = (key: string): string => key.slice(prefix.length + 1);
  const watching = (async () => {
    for await (const change of stage.reader.watch({ bucket, prefix }, { signal: stop.signal })) {
      if (change.type === 'snapshot') history.push(`snapshot ${change.records.length}`);
      else if (change.type === 'put') history.push(`put ${bare(change.record.key)} ${change.record.value}`);
      else history.push(`delete ${bare(change.key)}`);
    }
  })();
  const seen = async (length: number): Promise<void> => {
    for (const until = performance.now() + 8_000; history.length < length && performance.now() < until;)
      await new Promise((resolve) => setTimeout(resolve, 1));
  };
  const perform = async (step: Step, answer: string, value: string): Promise<string> => {
    if (step.do === 'cut') stage.cut();
    if (step.do === 'leave') {
      await stage.writers[step.who][Symbol.asyncDispose]();
      stage.writers[step.who] = await stage.reopen();
    }
    if (step.do === 'cut' || step.do === 'leave') return answer;
    const record: DiscoveryRecord = { bucket, key: `${prefix}/${step.key}`, value };
    if (step.do === 'put') {
      try {
        puts.set(step.key, await stage.writers[step.who].put(record));
        return 'put';
      } catch (error) {
        return DynamoError.from(error).code;
      }
    }
    if (answer === 'nothing') return answer;
    if (step.do === 'delete') await puts.get(step.key)?.[Symbol.asyncDispose]();
    else if (step.do === 'stranger') await stage.stranger(record);
    else await stage.expire(record.key);
    return answer;
  };

  await seen(1);
  expect(history, stage.name).toEqual(['snapshot 0']);
  for (const [index, step] of run.entries()) {
    const value = `{"type":"Endpoint","step":${index}}`;
    const before = history.length;
    const answer = model.apply(step, value);
    expect(await perform(step, answer, value), `${stage.name}: ${JSON.stringify(step)}`).toBe(answer);
    await seen(1 + model.history.length);
    // One step's changes come in no promised order.
    history.push(...history.splice(before).sort());
    expect(history.slice(1), `${stage.name}: ${JSON.stringify(step)}`).toEqual(model.history);
    const listed = (await stage.reader.list({ bucket, prefix })).map((found) => [bare(found.key), found.value]).sort();
    expect(listed, stage.name).toEqual([...model.held].map(([key, { value: held }]) => [key, held]).sort());
  }
  for (const [key, { owner }] of model.held) if (owner !== 'stranger') await puts.get(key)?.[Symbol.asyncDispose]();
  stop.abort();
  await watching;
}

const reason = missing('etcd');
if (reason !== undefined) console.warn(`without etcd: ${reason}`);

test('whatever happens, every backend tells one history: each change once, none missed, and lists that agree', async () => {
  await using stack = new AsyncDisposableStack();
  const stages = await Promise.all([memStage(stack), fileStage(stack), ...(reason === undefined ? [etcdStage(stack)] : [])]);
  // The bucket's folder is there before a stranger writes into it.
  for (const stage of stages) await stage.reader.list({ bucket });
  let runs = 0;
  await fc.assert(
    fc.asyncProperty(steps, async (run) => {
      const prefix = `run${runs++}`;
      await Promise.all(stages.map((stage) => play(stage, prefix, run)));
    }),
    { numRuns: 12, interruptAfterTimeLimit: 5_000, markInterruptAsFailure: false },
  );
}, 60_000);
