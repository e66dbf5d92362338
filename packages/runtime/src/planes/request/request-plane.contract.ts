import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { expect } from 'vitest';
import { isInstanceFault } from '../../client/faults.ts';
import type { Instance } from '../../endpoint/instance.ts';
import { DynamoError } from '../../error.ts';
import { encodeAck, encodeRequestFrame } from '../../wire/request-frame.ts';
import { garbledBytes } from '../../testing/garbled.ts';
import { notebook } from '../../testing/notebook.ts';
import { type Bytes, cases, heard, type Skipped } from '../testing/stage.ts';
import type { RequestDialOptions, RequestPlane, RequestSender } from './request-plane.ts';

/** What a request plane's test gives. A plane without a byte stream of its own skips the cases that need `bytes`. */
export interface RequestPlaneContract {
  readonly plane: RequestPlane;
  readonly bytes: Bytes;
  /** Where an instance can be reached that serves `path` at a listener's address. */
  readonly transport: (address: string, path: string) => Instance['transport'];
  /** How a path is refused that nobody handles any more: one of these. */
  readonly unknown: readonly string[];
  readonly skip: readonly Skipped[];
}

const maxFrameBytes = 1 << 20;
const stallMs = 150;
/** Limits that pass within a test are for the cases that are about them: a busy machine must not fail the others. */
const patient = { stallMs: 20_000, ackMs: 20_000 };
const frameOf = (payload: string, path = 'echo'): Uint8Array =>
  encodeRequestFrame({ path, headers: {}, payload: Buffer.from(payload) }, Number.MAX_SAFE_INTEGER);
/** A frame's beginning that announces so many bytes of payload. */
const claim = (payloadBytes: number): Buffer => {
  const bytes = Buffer.from(frameOf(''));
  bytes.writeUInt32BE(payloadBytes, bytes.length - 4);
  return bytes;
};

/** What every request plane promises. */
export function requestPlaneContract(contract: RequestPlaneContract): void {
  const { plane, bytes, transport } = contract;

  async function open(options: Partial<typeof patient> = {}) {
    const limits = { ...patient, ...options };
    await using undo = new AsyncDisposableStack();
    const { lines, log } = notebook();
    const listener = undo.use(await plane.listen({ host: '127.0.0.1', port: 0, maxFrameBytes, stallMs: limits.stallMs, log }));
    const seen: string[] = [];
    await listener.handle('echo', (request) => {
      const text = request.payload.toString();
      seen.push(text);
      return text.startsWith('refuse ') ? text.slice('refuse '.length) : undefined;
    });
    const dial = (more: Partial<RequestDialOptions> = {}): RequestSender => kept.use(plane.dial({ connectMs: 5_000, ackMs: limits.ackMs, ...more }));
    const kept = undo.move();
    const sender = dial();
    const send = (payload: string, more: { to?: string; by?: RequestSender; path?: string } = {}): Promise<DynamoError | undefined> => {
      const { to = listener.address, by = sender, path = 'echo' } = more;
      const request = { transport: transport(to, path), headers: { 'request-id': 'r' }, payload: Buffer.from(payload), maxFrameBytes };
      return new Promise((resolve) => by.send(request, resolve));
    };
    return { listener, dial, sender, send, seen, lines, stack: kept, [Symbol.asyncDispose]: () => kept.disposeAsync() };
  }
  const check = cases(open, contract.skip);

  check('a request arrives with its headers, and is acknowledged', async ({ listener, send, sender }) => {
    const arrived = Promise.withResolvers<unknown>();
    await listener.handle('a/b.c-d', (request) => void arrived.resolve({ headers: request.headers, payload: request.payload.toString() }));
    expect(await send('hé', { path: 'a/b.c-d', by: sender })).toBeUndefined();
    expect(await arrived.promise).toMatchObject({ headers: { 'request-id': 'r' }, payload: 'hé' });
  });

  check('two hundred at once are acknowledged in their order', async ({ send, seen }) => {
    const texts = Array.from({ length: 200 }, (_, i) => (i % 3 === 0 ? `refuse no ${i}` : `yes ${i}`));
    const order: number[] = [];
    const acks = await Promise.all(texts.map((text, i) => send(text).finally(() => order.push(i))));
    expect(acks.map((ack) => ack?.message)).toEqual(texts.map((_, i) => (i % 3 === 0 ? `no ${i}` : undefined)));
    expect(order).toEqual(texts.map((_, i) => i));
    expect(seen).toEqual(texts);
  });

  check('ten thousand small requests lose nothing', async ({ send, seen }) => {
    const acks = await Promise.all(Array.from({ length: 10_000 }, (_, i) => send(`${i}`, {})));
    expect(acks.every((ack) => ack === undefined)).toBe(true);
    expect(seen).toEqual(Array.from({ length: 10_000 }, (_, i) => `${i}`));
  });

  check('refusals are typed, and the next request goes through', async ({ listener, send }) => {
    const gone = await listener.handle('gone', () => undefined);
    expect(await send('', { path: 'gone' })).toBeUndefined();
    gone[Symbol.dispose]();
    const refused = await send('', { path: 'gone' });
    expect(contract.unknown).toContain(refused?.message);
    expect(isInstanceFault(refused)).toBe(true);
    expect(await send('refuse Server overloaded: worker at capacity')).toMatchObject({ code: 'worker_overloaded' });
    expect(await send('refuse something else')).toMatchObject({ code: 'unavailable', message: 'something else', data: { broken: false } });
    expect(await send('fine')).toBeUndefined();
  });

  check('of two handlers of one path the later counts, and the end of the earlier takes nothing away', async ({ listener, send }) => {
    const earlier = await listener.handle('p', () => 'earlier');
    await listener.handle('p', () => undefined);
    earlier[Symbol.dispose]();
    expect(await send('', { path: 'p' })).toBeUndefined();
  });

  check('a handler that throws refuses its own request only', async ({ listener, send, lines }) => {
    await listener.handle('throws', () => {
      throw new Error('boom');
    });
    const acks = await Promise.all([send('before'), send('', { path: 'throws' }), send('after')]);
    expect(acks.map((ack) => ack?.message)).toEqual([undefined, 'Invalid request: Error: boom', undefined]);
    expect(lines).toHaveLength(1);
  });

  check('what is too large is not sent', async ({ send, seen }) => {
    expect(await send('x'.repeat(maxFrameBytes))).toMatchObject({ code: 'payload_too_large', data: { limit: maxFrameBytes } });
    expect(await send('fine')).toBeUndefined();
    expect(seen).toEqual(['fine']);
  });

  check('an address that leads nowhere is a typed refusal', async ({ stack, send }) => {
    const closed = await bytes.listen(() => {});
    await closed[Symbol.asyncDispose]();
    expect(await send('', { to: closed.address })).toMatchObject({ code: 'cannot_connect' });
    expect(await send('', { to: 'nowhere' })).toMatchObject({ code: 'cannot_connect' });
    const hangUp = stack.use(await bytes.listen((socket) => socket.destroy()));
    expect(await send('', { to: hangUp.address })).toMatchObject({ code: 'disconnected' });
    expect(await send('fine')).toBeUndefined();
  });

  check(
    'a worker that takes requests and never answers times out, and others go on',
    async ({ stack, send }) => {
      let connections = 0;
      const silent = stack.use(await bytes.listen(() => connections++));
      const waiting = Promise.all([send('1', { to: silent.address }), send('2', { to: silent.address })]);
      expect(await send('fine')).toBeUndefined();
      expect((await waiting).map((ack) => ack?.code)).toEqual(['connection_timeout', 'connection_timeout']);
      expect(await send('3', { to: silent.address })).toMatchObject({ code: 'connection_timeout' });
      expect(connections).toBe(2);
    },
    { ackMs: 150 },
  );

  check(
    'an acknowledgement that waits while the event loop is busy is in time',
    async ({ stack, send }) => {
      const worker = stack.use(
        await bytes.listen((socket) =>
          socket.once('data', () => {
            socket.write(encodeAck(''));
            for (const until = performance.now() + 400; performance.now() < until;);
          }),
        ),
      );
      expect(await send('', { to: worker.address })).toBeUndefined();
    },
    { ackMs: 100 },
  );

  check('a caller that is closed tells those who wait, and sends no more', async ({ stack, dial, send }) => {
    const silent = stack.use(await bytes.listen(() => {}));
    const sender = dial({ ackMs: 60_000 });
    const waiting = send('', { to: silent.address, by: sender });
    sender[Symbol.dispose]();
    expect(await waiting).toMatchObject({ code: 'unavailable' });
    expect(await send('', { by: sender })).toMatchObject({ code: 'unavailable' });
  });

  check('a listener that is closed tells those who wait', async ({ listener, send }) => {
    expect(await send('fine')).toBeUndefined();
    await listener[Symbol.asyncDispose]();
    expect(['disconnected', 'cannot_connect']).toContain((await send('late'))?.code);
  });

  check('an idle connection is closed, and the next request opens another', async ({ dial, stack }) => {
    const ends: number[] = [];
    const worker = stack.use(
      await bytes.listen((socket) => {
        const index = ends.push(0) - 1;
        socket.on('data', () => socket.write(encodeAck('')));
        socket.once('end', () => (ends[index] = 1));
      }),
    );
    const sender = dial({ idleMs: 50 });
    const request = { transport: transport(worker.address, 'p'), headers: {}, payload: Buffer.from('x'), maxFrameBytes };
    const once = (): Promise<unknown> => new Promise((resolve) => sender.send(request, resolve));
    expect(await once()).toBeUndefined();
    await expect.poll(() => ends).toEqual([1]);
    expect(await once()).toBeUndefined();
    expect(ends).toHaveLength(2);
  });

  check('acknowledgements that come byte by byte are read', async ({ stack, send }) => {
    const slow = stack.use(
      await bytes.listen((socket) =>
        socket.once('data', async () => {
          for (const byte of Buffer.concat([encodeAck(''), encodeAck('no'), encodeAck('')])) {
            socket.write(Uint8Array.of(byte));
            await sleep(1);
          }
        }),
      ),
    );
    const acks = await Promise.all([1, 2, 3].map((text) => send(`${text}`, { to: slow.address })));
    expect(acks.map((ack) => ack?.message)).toEqual([undefined, 'no', undefined]);
  });

  check('a worker that acknowledges nonsense is let go', async ({ stack, send }) => {
    const huge = stack.use(await bytes.listen((socket) => socket.once('data', () => socket.write(Buffer.from('ffffffff', 'hex')))));
    expect(await send('', { to: huge.address })).toMatchObject({ code: 'backend_protocol' });
    const twice = stack.use(await bytes.listen((socket) => socket.once('data', () => socket.write(Buffer.concat([encodeAck(''), encodeAck('')])))));
    expect(await send('', { to: twice.address })).toBeUndefined();
    await sleep(20);
    expect(await send('', { to: twice.address })).toBeUndefined();
  });

  check('a worker that does not read is given no more than so much', async ({ stack, dial, send }) => {
    const deaf = stack.use(await bytes.listen((socket) => socket.pause()));
    const sender = dial({ ackMs: 60_000, maxUnsentBytes: 4 << 20 });
    const refused = Promise.withResolvers<DynamoError>();
    const request = { transport: transport(deaf.address, 'p'), headers: {}, payload: Buffer.alloc(1 << 19), maxFrameBytes };
    let sent = 0;
    let full = false;
    for (; sent < 100 && !full; sent++) {
      sender.send(request, (error) => {
        if (error?.code !== 'worker_overloaded') return;
        full = true;
        refused.resolve(error);
      });
      await sleep(0);
    }
    expect((await refused.promise).message).toContain('does not read');
    expect(await send('fine', { by: sender })).toBeUndefined();
  });

  check('requests cut between any two bytes are read', async ({ listener, seen }) => {
    const peer = await bytes.connect(listener.address);
    const frames = Buffer.concat([frameOf('one'), frameOf('two')]);
    for (let cut = 1; cut < frames.length; cut++) {
      peer.write(frames.subarray(0, cut));
      await sleep(1);
      peer.write(frames.subarray(cut));
      await expect.poll(() => seen.length, { interval: 1 }).toBe(cut * 2);
    }
    expect(new Set(seen)).toEqual(new Set(['one', 'two']));
    peer.destroy();
  });

  check('a peer that closes its half gets its acknowledgements', async ({ listener }) => {
    const peer = await bytes.connect(listener.address);
    const answer = heard(peer);
    peer.end(Buffer.concat([frameOf('1'), frameOf('refuse no'), frameOf('3')]));
    expect(await answer).toEqual(Buffer.concat([encodeAck(''), encodeAck('no'), encodeAck('')]));
  });

  for (const [name, size] of [
    ['a frame that is longer than allowed', maxFrameBytes],
    ['a frame that claims 4 GiB', 0xffff_ffff],
  ] as const) {
    check(`${name} is refused with one line, and nothing behind it is read`, async ({ listener, send, seen, lines }) => {
      const held = process.memoryUsage().arrayBuffers;
      const peer = await bytes.connect(listener.address);
      const answer = heard(peer);
      peer.write(Buffer.concat([frameOf('good'), claim(size)]));
      for (let i = 0; i < 20 && peer.writable; i++) {
        peer.write(frameOf(`smuggled ${i}`));
        await sleep(1);
      }
      expect((await answer).toString()).toContain(`passes the limit of ${maxFrameBytes}`);
      expect(process.memoryUsage().arrayBuffers - held).toBeLessThan(64 << 20);
      expect(await send('fine')).toBeUndefined();
      expect(seen).toEqual(['good', 'fine']);
      expect(lines).toEqual(['closed a request connection']);
    });
  }

  check(
    'a peer that sends half a request and hangs is let go with one line, and others go on',
    async ({ listener, send, lines }) => {
      const peer = await bytes.connect(listener.address);
      peer.write(frameOf('x'.repeat(100)).subarray(0, 60));
      await sleep(stallMs / 3);
      expect(await send('fine')).toBeUndefined();
      await once(peer, 'close');
      expect(lines).toEqual(['a peer sent part of a request and no more']);
    },
    { stallMs },
  );

  check(
    'a peer that says nothing at all is left alone',
    async ({ listener, lines }) => {
      const peer = await bytes.connect(listener.address);
      await sleep(stallMs * 2);
      peer.write(frameOf('late'));
      await once(peer, 'data');
      expect(lines).toEqual([]);
      peer.destroy();
    },
    { stallMs },
  );

  check(
    'a peer that takes no acknowledgements is read no further and let go, and others go on',
    async ({ listener, send, seen, lines }) => {
      const peer = await bytes.connect(listener.address);
      peer.pause();
      const flood = frameOf(`refuse ${'x'.repeat(60_000)}`);
      const total = 2_000;
      for (let i = 0; i < total; i++) peer.write(flood);
      await expect.poll(() => seen.length, { timeout: 10_000 }).toBeGreaterThan(10);
      expect(await send('fine')).toBeUndefined();
      await expect.poll(() => lines, { timeout: 10_000 }).toEqual(['a peer sends requests and takes no acknowledgements']);
      const taken = seen.length;
      expect(taken).toBeLessThan(total / 2);
      await sleep(stallMs);
      expect(seen.length).toBe(taken);
      peer.destroy();
    },
    { stallMs },
  );

  check('requests that are garbled anywhere harm nobody else', async ({ listener, send, seen }) => {
    const good = Buffer.concat([frameOf('one'), frameOf('two')]);
    for (const garbled of fc.sample(garbledBytes(good), { numRuns: 300, seed: 20261125 })) {
      const peer = await bytes.connect(listener.address);
      peer.end(garbled);
      await heard(peer);
    }
    expect(await send('after')).toBeUndefined();
    expect(seen.at(-1)).toBe('after');
  });

  check('acknowledgements that are garbled anywhere are typed', async ({ dial, send, stack }) => {
    let answer: Uint8Array = new Uint8Array(0);
    const worker = stack.use(await bytes.listen((socket) => socket.once('data', () => socket.end(answer))));
    for (const garbled of fc.sample(garbledBytes(Buffer.concat([encodeAck(''), encodeAck('refuse no')])), { numRuns: 200, seed: 20261125 })) {
      answer = garbled;
      const by = dial();
      const refused = await send('x', { to: worker.address, by });
      expect(refused === undefined || DynamoError.is(refused), Buffer.from(garbled).toString('hex')).toBe(true);
      by[Symbol.dispose]();
    }
  });
}
