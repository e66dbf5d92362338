import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Client, DistributedRuntime, DynamoError, type Handler } from '@dynamo/runtime';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Peer, startPeer } from './python.ts';

/** Whose process it is: one of this repository, or the real ai-dynamo 1.6.1. */
export type Side = 'ours' | 'real';

/** The name of a cell's test: one call of one client to one worker. What needs no certificates is in the matrix (docs/interop.md). */
export const cell = (client: Side, worker: Side, at: { discovery: string; plane: string }, verb: string): string =>
  [client, worker, at.discovery, at.plane, verb].join(' x ');

/** How a call ended. `text` is what the caller was told of an error. */
export interface Outcome {
  readonly items: readonly unknown[];
  readonly end: 'ok' | 'cancelled' | 'error';
  readonly text: string;
}

interface Caller {
  call(request: Record<string, unknown>, more?: { stopAfter?: number; dropAfter?: number; times?: number; onItem?: () => void }): Promise<Outcome>;
}

interface Worker extends AsyncDisposable {
  /** How handlers that waited were ended, in order. */
  ends(): readonly { stopped: unknown; killed: unknown }[];
  /** Begins to shut down; settles when it has gone. */
  leave(): Promise<void>;
}

/** Where a group of cells happens. */
export interface Scene {
  readonly discovery: string;
  readonly plane: string;
  readonly python: string;
  /** The environment of both sides. */
  readonly env: Record<string, string>;
  /** Where requests that are too long for a command line are put. */
  readonly folder: string;
  /** How long a string one request can hold. */
  readonly requestBytes: number;
}

const pairs: readonly (readonly [Side, Side])[] = [
  ['ours', 'real'],
  ['real', 'ours'],
  ['ours', 'ours'],
];

/** Declares every verb for every pair of sides; of the real system on both sides there is nothing of ours to test. */
export function testCells(open: () => Scene, at: { discovery: string; plane: string }): void {
  for (const [client, worker] of pairs) {
    describe(`${client} to ${worker}`, () => {
      const stack = new AsyncDisposableStack();
      const named = (verb: string): string => cell(client, worker, at, verb);
      let scene: Scene;
      let path: string;
      let sides: { caller: Caller; worker: Worker };
      beforeAll(async () => {
        scene = open();
        Object.assign(process.env, scene.env, { DYN_RUNTIME_INHIBITED_DURATION_SECS: '0' });
        path = `demo.${client}-to-${worker}.generate`;
        const serving = stack.use(worker === 'ours' ? await serveOurs(path) : serveReal(scene, path));
        sides = { worker: serving, caller: client === 'ours' ? await callOurs(path, stack) : callReal(scene, path) };
      });
      afterAll(() => stack.disposeAsync());

      test(named('unary'), async () => {
        const request = { op: 'echo', x: [1, null, 'é😀'], n: 1.5 };
        expect(await sides.caller.call(request)).toEqual({ items: [{ echo: request }], end: 'ok', text: '' });
      });

      test(named('stream'), async () => {
        const { items, end } = await sides.caller.call({ op: 'count', n: 500 });
        expect({ end, items }).toEqual({ end: 'ok', items: Array.from({ length: 500 }, (_, i) => ({ i })) });
      });

      test(named('concurrent'), async () => {
        const { items, end } = await sides.caller.call({ op: 'count', n: 5 }, { times: 50 });
        expect({ end, items: items.length }).toEqual({ end: 'ok', items: 250 });
      });

      test(named('cancel'), async () => {
        const before = sides.worker.ends().length;
        const { end } = await sides.caller.call({ op: 'wait', delay: 0.02 }, { stopAfter: 3 });
        expect(end).not.toBe('error');
        await expect.poll(() => sides.worker.ends().slice(before), { timeout: 10_000 }).toEqual([{ stopped: true, killed: false }]);
      });

      test(named('kill'), async () => {
        const before = sides.worker.ends().length;
        await sides.caller.call({ op: 'wait', delay: 0.02 }, { dropAfter: 3 });
        await expect.poll(() => sides.worker.ends().slice(before), { timeout: 10_000 }).toEqual([{ stopped: true, killed: true }]);
      });

      test(named('error'), async () => {
        const { items, end, text } = await sides.caller.call({ op: 'raise', after: 2, exc: 'ValueError', msg: 'boom' });
        expect({ end, items }).toEqual({ end: 'error', items: [{ i: 0 }, { i: 1 }] });
        expect(text).toMatch(/^(InvalidRequest: |invalid_argument: )ValueError: boom$/);
      });

      test(named('large request'), async () => {
        const { items, end } = await sides.caller.call({ op: 'measure', text: 'x'.repeat(scene.requestBytes) });
        expect({ end, items }).toEqual({ end: 'ok', items: [{ length: scene.requestBytes }] });
      });

      test(named('large item'), async () => {
        const { items, end } = await sides.caller.call({ op: 'big', size: 40 << 20 });
        expect({ end, items: items.length }).toEqual({ end: 'ok', items: 1 });
        // The real client's peer prints only how long a long item is.
        const [item] = items;
        const length = typeof item === 'string' ? Number(/\d+/.exec(item)?.[0]) - "{'s': ''}".length : (item as { s: string }).s.length;
        expect(length).toBe(40 << 20);
      });

      test(named('drain'), async () => {
        let left: Promise<void> | undefined;
        const onItem = (): void => void (left ??= sides.worker.leave());
        const { items, end } = await sides.caller.call({ op: 'count', n: 40, delay: 0.05 }, { onItem });
        expect({ end, items: items.length }).toEqual({ end: 'ok', items: 40 });
        await left;
      });
    });
  }
}

/** The handler of the real peer, in ours. */
const handlerOf = (ends: { stopped: unknown; killed: unknown }[]): Handler<Record<string, unknown>, unknown> =>
  async function* (request, context) {
    const { op, n, delay, after, size, text } = request as { op?: string; n?: number; delay?: number; after?: number; size?: number; text?: string };
    if (op === 'count' || op === 'raise') {
      for (let i = 0; i < (n ?? after ?? 0) && !context.signal.aborted; i++) {
        yield { i };
        await sleep((delay ?? 0) * 1_000);
      }
      if (op === 'raise')
        throw new DynamoError('invalid_argument', `${request['exc'] as string}: ${request['msg'] as string}`, { origin: 'backend' });
    } else if (op === 'big') yield { s: 'x'.repeat(size ?? 0) };
    else if (op === 'measure') yield { length: text?.length };
    else if (op === 'wait') {
      for (let i = 0; !context.signal.aborted; i++) {
        yield { alive: i };
        await sleep((delay ?? 0.1) * 1_000);
      }
      ends.push({ stopped: true, killed: (context.signal.reason as DynamoError).data['kind'] === 'kill' });
    } else yield { echo: request };
  };

async function serveOurs(path: string): Promise<Worker> {
  const ends: { stopped: unknown; killed: unknown }[] = [];
  const runtime = await DistributedRuntime.connect();
  const leave = (): Promise<void> => runtime[Symbol.asyncDispose]();
  await runtime.serve(path as 'a.b.c', handlerOf(ends));
  return { ends: () => ends, leave, [Symbol.asyncDispose]: leave };
}

function serveReal({ python, env }: Scene, path: string): Worker {
  const peer: Peer = startPeer(python, 'py_worker.py', { args: [path], env });
  return {
    ends: () => peer.lines.filter((line) => line['event'] === 'wait_end').map(({ stopped, killed }) => ({ stopped, killed })),
    leave() {
      peer.child.kill('SIGTERM');
      return peer.ended;
    },
    [Symbol.asyncDispose]: () => peer[Symbol.asyncDispose](),
  };
}

async function callOurs(path: string, stack: AsyncDisposableStack): Promise<Caller> {
  const runtime = stack.use(await DistributedRuntime.connect());
  const client: Client<Record<string, unknown>, unknown> = await runtime.client(path as 'a.b.c');
  await client.ready();
  const one: Caller['call'] = async (request, { stopAfter, dropAfter, onItem } = {}) => {
    const items: unknown[] = [];
    const abort = new AbortController();
    try {
      for await (const item of client.generate(request, { signal: abort.signal })) {
        onItem?.();
        if (items.push(item) === stopAfter) abort.abort();
        if (items.length === dropAfter) break;
      }
      return { items, end: 'ok', text: '' };
    } catch (error) {
      const { code, message } = DynamoError.from(error);
      return { items, end: code === 'cancelled' ? 'cancelled' : 'error', text: `${code}: ${message}` };
    }
  };
  return {
    async call(request, more = {}) {
      const all = await Promise.all(Array.from({ length: more.times ?? 1 }, () => one(request, more)));
      return { items: all.flatMap(({ items }) => items), end: all.find(({ end }) => end !== 'ok')?.end ?? 'ok', text: all[0]?.text ?? '' };
    },
  };
}

function callReal({ python, env, folder }: Scene, path: string): Caller {
  let requests = 0;
  return {
    async call(request, { stopAfter, dropAfter, times, onItem } = {}) {
      const file = join(folder, `request-${requests++}.json`);
      await writeFile(file, JSON.stringify(request));
      const args = [path, 'round_robin', `@${file}`];
      if (stopAfter !== undefined) args.push('--stop-after', `${stopAfter}`);
      if (dropAfter !== undefined) args.push('--drop-after', `${dropAfter}`);
      if (times !== undefined) args.push('--count', `${times}`, '--concurrency', `${times}`);
      await using peer = startPeer(python, 'py_client.py', { args, env });
      const isOver = peer.ended.then(() => true);
      while (!(await Promise.race([isOver, sleep(20)]))) if (peer.lines.some((line) => 'item' in line)) onItem?.();
      const ends = peer.lines.filter((line) => 'end' in line);
      const failed = ends.find((line) => line['end'] !== 'ok');
      return {
        items: peer.lines.flatMap((line) => ('item' in line ? [line['item']] : [])),
        end: ends.length === (times ?? 1) && failed === undefined ? 'ok' : 'error',
        text: String(failed?.['msg'] ?? ''),
      };
    },
  };
}
