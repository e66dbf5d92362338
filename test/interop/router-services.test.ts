import { spawn } from 'node:child_process';
import { serveIndexer, serveSelection, serveSlotTracker } from '@dynamo/kv-router/internal';
import { decodeJson, encodeMsgpack, silentLogger as log } from '@dynamo/runtime/internal';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Publisher, Router } from 'zeromq';
import { findPython, freePort } from './python.ts';

const found = findPython();
const python = 'path' in found ? found.path : '';
if ('missing' in found) console.warn(`skipped: ${found.missing}`);

let stack: AsyncDisposableStack;
beforeEach(() => void (stack = new AsyncDisposableStack()));
afterEach(() => stack.disposeAsync());

const here = { host: '127.0.0.1', port: 0, log } as const;

/** Starts a service of 1.6.1 and waits until it answers. */
async function startReal(module: 'slot_tracker' | 'indexer' | 'select_service', args: readonly string[] = []): Promise<string> {
  const port = await freePort();
  const child = spawn(python, ['-m', `dynamo.${module}`, '--port', String(port), ...args], { stdio: 'ignore' });
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  stack.defer(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  const address = `http://127.0.0.1:${port}`;
  await vi.waitFor(async () => expect((await fetch(`${address}/health`)).status).toBe(200), 60_000);
  return address;
}

type Ask = readonly [method: string, path: string, body?: unknown];

/** What a service answers; sent and read as text, so that every digit counts. */
async function ask(address: string, [method, path, body]: Ask): Promise<{ status: number; type: string | null; text: string }> {
  const text = typeof body === 'string' ? body : body === undefined ? undefined : JSON.stringify(body);
  const sent = text === undefined ? {} : { body: text, headers: { 'content-type': 'application/json' } };
  const response = await fetch(`${address}${path}`, { method, ...sent });
  return { status: response.status, type: response.headers.get('content-type'), text: await response.text() };
}

async function expectAlike(real: string, ours: string, asked: readonly Ask[]): Promise<void> {
  for (const [at, one] of asked.entries())
    expect(await ask(ours, one), `${at} ${one[0]} ${one[1]} ${JSON.stringify(one[2])}`).toEqual(await ask(real, one));
}

/** An engine's event socket with a replay socket, without the engine. */
class Engine {
  readonly publisher = new Publisher({ linger: 0 });
  readonly router = new Router({ linger: 0 });
  readonly kept = new Map<number, Buffer>();
  /** What has not been told yet is not repeated. */
  #told = 0;

  async open(): Promise<{ events: string; replay: string }> {
    await this.publisher.bind('tcp://127.0.0.1:*');
    await this.router.bind('tcp://127.0.0.1:*');
    const serving = (async () => {
      for await (const [id, , start] of this.router) {
        const from = Number((start as Buffer).readBigUInt64BE());
        for (const [sequence, batch] of this.kept)
          if (sequence >= from && sequence <= this.#told) await this.router.send([id as Buffer, '', '', numbered(sequence), batch]);
        await this.router.send([id as Buffer, '', '', Buffer.alloc(8, 0xff), '']);
      }
    })();
    stack.defer(async () => {
      this.publisher.close();
      this.router.close();
      await serving;
    });
    return { events: this.publisher.lastEndpoint ?? '', replay: this.router.lastEndpoint ?? '' };
  }

  /** A batch that stores one prompt's blocks; the engine keeps it for those who miss it. */
  stores(sequence: number, hashes: readonly number[], tokens: readonly number[]): void {
    const event = { type: 'BlockStored', block_hashes: hashes, parent_block_hash: null, token_ids: tokens, block_size: 16 };
    this.kept.set(sequence, Buffer.from(encodeMsgpack([1, [event], 0])));
  }

  send(sequence: number): Promise<void> {
    this.#told = sequence;
    return this.publisher.send(['', numbered(sequence), this.kept.get(sequence) as Buffer]);
  }
}

function numbered(sequence: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(sequence));
  return bytes;
}

const tokens = (from: number, count: number): number[] => Array.from({ length: count }, (_, at) => from + at);
const prompt = tokens(1, 64);

describe.skipIf(python === '')("the router's services beside those of 1.6.1", () => {
  test('the slot trackers answer alike, and tell each other what is booked', async () => {
    const [realPort, ourPort] = [await freePort(), await freePort()];
    const real = await startReal('slot_tracker', ['--replica-sync-port', String(realPort), '--replica-sync-peers', `tcp://127.0.0.1:${ourPort}`]);
    const replicaPeers = [`tcp://127.0.0.1:${realPort}`];
    const ours = stack.use(await serveSlotTracker({ ...here, replicaPort: ourPort, replicaPeers })).address;
    const worker = { worker_id: 1, model_name: 'm', block_size: 16, dp_start: 0, dp_size: 2 };
    await expectAlike(real, ours, [
      ['POST', '/register', { ...worker, block_size: 0 }],
      ['POST', '/register', { ...worker, dp_size: 0 }],
      ['POST', '/register', { ...worker, dp_start: 4_294_967_295 }],
      ['POST', '/register', { ...worker, worker_id: -1 }],
      ['POST', '/register', { ...worker, block_size: 5_000_000_000 }],
      ['POST', '/register', '{"worker_id":1,"worker_id":2}'],
      ['POST', '/register', worker],
      ['POST', '/register', { ...worker, worker_id: 2, block_size: 32 }],
      ['POST', '/register', { ...worker, worker_id: 18_446_744_073_709_551_615n.toString() }],
      ['POST', '/add', '[]'],
      ['POST', '/add', '"x"'],
      ['POST', '/add', '{} x'],
      ['POST', '/add', ''],
      ['POST', '/add', '{"request_id":1}'],
      ['POST', '/add', { model_name: 'm', request_id: 'r', worker_id: 1, dp_rank: 7, sequence_hashes: [] }],
      ['POST', '/add', { model_name: 'm', request_id: 'r', worker_id: 1, dp_rank: 0, sequence_hashes: [1.5] }],
      ['POST', '/add', { model_name: 'm', request_id: 'r', worker_id: 1, dp_rank: 0, sequence_hashes: 'a' }],
      ['POST', '/add', '{"model_name":"m","request_id":"r","worker_id":1,"dp_rank":0,"sequence_hashes":[18446744073709551615]}'],
      ['POST', '/potential_loads', { model_name: 'none', sequence_hashes: [] }],
      ['PUT', '/add', {}],
      ['POST', '/health', {}],
      ['GET', '/loads?model_name=none'],
      ['POST', '/unregister', { worker_id: 9, model_name: 'm' }],
      ['POST', '/replica_sync/deregister_peer', { endpoint: 'tcp://127.0.0.1:1' }],
      ['POST', '/replica_sync/register_peer', { endpoint: 'bogus' }],
    ]);
    const added = '{"model_name":"m","request_id":"ID","worker_id":1,"dp_rank":0,"sequence_hashes":[-5,7,9007199254740993],"new_isl_tokens":40}';
    // Until a subscription has arrived, nobody hears: book again under another name.
    for (const [teller, hearer, name] of [
      [ours, real, 'a'],
      [real, ours, 'b'],
    ] as const) {
      let tries = 0;
      await vi.waitFor(async () => {
        await ask(teller, ['POST', '/add', added.replace('ID', `${name}${tries++}`)]);
        expect(await ask(hearer, ['POST', '/prefill_complete', { model_name: 'm', request_id: `${name}${tries - 1}` }])).toMatchObject({
          status: 200,
        });
      }, 20_000);
      for (let at = 0; at < tries; at++)
        for (const one of [teller, hearer]) await ask(one, ['POST', '/free', { model_name: 'm', request_id: `${name}${at}` }]);
    }
    await vi.waitFor(
      () =>
        expectAlike(real, ours, [
          ['GET', '/loads'],
          ['GET', '/workers'],
        ]),
      20_000,
    );
    await ask(ours, ['POST', '/add', added.replace('ID', 'last')]);
    await vi.waitFor(() => expectAlike(real, ours, [['GET', '/loads']]), 20_000);
    expect((await ask(real, ['GET', '/loads'])).text).toContain('"active_prefill_tokens":40,"active_decode_blocks":3');
  });

  test('the indexers hear one engine alike, ask it alike for what they missed, and take over from each other', async () => {
    const engine = new Engine();
    const { events, replay } = await engine.open();
    const real = await startReal('indexer');
    const first = stack.use(await serveIndexer(here)).address;
    const body = { instance_id: 7, endpoint: events, replay_endpoint: replay, model_name: 'm', block_size: 16 };
    await expectAlike(real, first, [
      ['POST', '/register', { ...body, endpoint: 'bogus' }],
      ['POST', '/register', {}],
      ['POST', '/register', body],
      ['POST', '/register', { ...body, dp_rank: 1, block_size: 32 }],
      ['POST', '/register', { ...body, model_name: 'other' }],
      ['GET', '/workers'],
      ['POST', '/query', { token_ids: ['a'], model_name: 'm' }],
      ['POST', '/query', { token_ids: [-1], model_name: 'm' }],
      ['POST', '/query', { token_ids: [], model_name: 'm' }],
      ['POST', '/query_by_hash', { block_hashes: [1], model_name: 'm', lora_name: 'x' }],
      ['GET', '/query'],
    ]);
    // Messages 0 and 1 are never sent: both must ask for them when 2 comes.
    engine.stores(0, [1, 2, 3, 4], prompt);
    engine.stores(1, [5], tokens(100, 16));
    for (let sequence = 2; sequence < 60; sequence++) engine.stores(sequence, [1_000 + sequence], tokens(sequence * 100_000, 16));
    let next = 2;
    await vi.waitFor(async () => {
      await engine.send(next++);
      for (const one of [real, first])
        expect((await ask(one, ['POST', '/query', { token_ids: prompt, model_name: 'm' }])).text).toContain('"7":{"0":64}');
    }, 20_000);
    const second = stack.use(await serveIndexer({ ...here, peers: [real] })).address;
    const third = await startReal('indexer', ['--peers', first]);
    const last = next - 1;
    for (const sequence of [0, 1, 2, last]) {
      const tokenIds = sequence === 0 ? prompt : sequence === 1 ? tokens(100, 16) : tokens(sequence * 100_000, 16);
      const query: Ask = ['POST', '/query', { token_ids: tokenIds, model_name: 'm' }];
      await vi.waitFor(async () => expect((await ask(first, query)).text).toBe((await ask(real, query)).text), 20_000);
      for (const heir of [second, third]) expect((await ask(heir, query)).text).toBe((await ask(real, query)).text);
    }
    const dumped = async (address: string): Promise<unknown> => {
      const dump = decodeJson((await ask(address, ['GET', '/dump'])).text) as Record<
        string,
        { block_size: number; events: { event: { data: unknown } }[] }
      >;
      const blocks = dump['m:default']?.events.map(({ event }) =>
        JSON.stringify(event.data, (_, one: unknown) => (typeof one === 'bigint' ? String(one) : one)),
      );
      return [Object.keys(dump), dump['m:default']?.block_size, blocks?.toSorted()];
    };
    expect(await dumped(first)).toEqual(await dumped(real));
    await expectAlike(real, first, [
      ['POST', '/unregister', { instance_id: 7, model_name: 'm' }],
      ['POST', '/unregister', { instance_id: 7, model_name: 'm' }],
      ['GET', '/workers'],
      ['GET', '/dump'],
    ]);
  });

  test('the selection services choose alike by what one engine holds', async () => {
    const engine = new Engine();
    const { events } = await engine.open();
    const real = await startReal('select_service');
    const ours = stack.use(await serveSelection(here)).address;
    const worker = { worker_id: 1, model_name: 'm', endpoint: 'http://h:1', block_size: 16, kv_events_endpoint: events };
    const two = { ...worker, worker_id: 3, data_parallel_size: 2, kv_events_endpoint: null };
    const pinned = { worker_id: 1, dp_rank: 0 };
    const ask1 = { token_ids: prompt, model_name: 'm' };
    await expectAlike(real, ours, [
      ['POST', '/workers', worker],
      ['POST', '/workers', { worker_id: 2 }],
      ['POST', '/workers', { ...two, kv_events_endpoints: { 0: events }, replay_endpoint: events }],
      ['POST', '/workers', { ...two, kv_events_endpoint: events }],
      ['POST', '/workers', { ...worker, worker_id: 5, kv_events_endpoint: 'bogus' }],
      ['POST', '/workers', { ...worker, worker_id: 6, block_size: 32 }],
      ['POST', '/workers', { ...worker, worker_id: 8, data_parallel_size: 0 }],
      ['POST', '/workers', { ...worker, kv_transfer_enforcement: 'x' }],
      ['POST', '/workers', { ...worker, topology_domains: { a: 1 } }],
      ['PATCH', '/workers/1', { taints: ['q'], model_name: 'other', endpoint: null, bogus: 1 }],
      ['PATCH', '/workers/9', {}],
      ['PATCH', '/workers/x', {}],
      ['GET', '/workers'],
      ['GET', '/ready'],
      ['POST', '/select', { model_name: 'm' }],
      ['POST', '/select', { model_name: 'm', block_hashes: [1] }],
      ['POST', '/select', { model_name: 'm', block_hashes: [1, 2], sequence_hashes: [1, 2] }],
      ['POST', '/select', { model_name: 'm', block_hashes: [1, 2], sequence_hashes: [1], isl_tokens: 40 }],
      ['POST', '/select', { model_name: 'm', block_hashes: [1, 2], sequence_hashes: [1, 2], isl_tokens: 40 }],
      ['POST', '/select', { model_name: 'm', token_ids: [] }],
      ['POST', '/select', { ...ask1, routing_group: 'none' }],
      ['POST', '/select', { ...ask1, pinned_worker: 3 }],
      ['POST', '/select', { ...ask1, pinned_worker: { worker_id: 77, dp_rank: 0 } }],
      ['POST', '/select', { ...ask1, allowed_worker_ids: [7], pinned_worker: pinned }],
      ['POST', '/select', { ...ask1, allowed_worker_ids: [] }],
      ['POST', '/select', { ...ask1, routing_constraints: { required_taints: ['nope'] } }],
      ['POST', '/select', { ...ask1, routing_constraints: 3 }],
      ['POST', '/select', { ...ask1, priority_jump: 'x' }],
      ['POST', '/potential_loads', { model_name: 'm' }],
      ['POST', '/overlap_scores', { ...ask1, model_name: 'none' }],
      ['POST', '/reservations', { selection_id: 'd', model_name: 'm', worker_id: 1 }],
      ['POST', '/reservations', { selection_id: 'd', model_name: 'm', worker_id: 99, sequence_hashes: [1], isl_tokens: 16 }],
    ]);
    for (let sequence = 0; sequence < 60; sequence++) engine.stores(sequence, [1, 2], prompt.slice(0, 32));
    let next = 0;
    await vi.waitFor(async () => {
      await engine.send(next++);
      for (const one of [real, ours]) expect((await ask(one, ['POST', '/select', ask1])).text).toContain('"gpu":32');
    }, 20_000);
    await expectAlike(real, ours, [
      ['POST', '/select', { ...ask1, selection_id: 'p' }],
      ['POST', '/reservations', { selection_id: 'p', model_name: 'm' }],
      ['POST', '/reservations', { selection_id: 'p', model_name: 'm' }],
      ['POST', '/select_and_reserve', { ...ask1, selection_id: 'a', expected_output_tokens: 5, priority_jump: 1, strict_priority: 2 }],
      ['POST', '/select_and_reserve', { ...ask1, selection_id: 'a' }],
      ['POST', '/select_and_reserve', { selection_id: 'h', model_name: 'm', block_hashes: [1, 2], sequence_hashes: [-5, 6], isl_tokens: 40 }],
      ['GET', '/loads'],
      ['POST', '/potential_loads', ask1],
      ['POST', '/overlap_scores', ask1],
      ['POST', '/reservations/a/prefill_complete'],
      ['POST', '/reservations/zz/prefill_complete'],
      ['POST', '/reservations/a/output_block', { decay_fraction: 0.5 }],
      ['POST', '/reservations/a/output_block', { decay_fraction: 2 }],
      ['POST', '/reservations/a/output_block', {}],
      ['GET', '/loads?model_name=m'],
      ['GET', '/reservations/a'],
      ['DELETE', '/reservations/a'],
      ['DELETE', '/reservations/a'],
      ['GET', '/loads'],
      ['DELETE', '/workers/1'],
      ['GET', '/ready'],
      ['GET', '/loads'],
      ['DELETE', '/reservations/h'],
    ]);
  });
});
