import { getEventListeners } from 'node:events';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { expect } from 'vitest';
import { DynamoError } from '../../error.ts';
import { encodeErrorItem, encodeItem, finalFrame } from '../../wire/annotated.ts';
import type { CodecName } from '../../wire/codec.ts';
import { encodeHandshake, encodePrologue, sentinel } from '../../wire/control.ts';
import { encodeTwoPart } from '../../wire/two-part.ts';
import { garbledBytes } from '../../testing/garbled.ts';
import { notebook } from '../../testing/notebook.ts';
import { type Bytes, cases, heard, type Skipped } from '../testing/stage.ts';
import type { CallHomeOptions, ResponsePlane, ResponseStream, ResponseWriter } from './response-plane.ts';

/** What a response plane's test gives. A plane without a byte stream of its own skips the cases that need `bytes`. */
export interface ResponsePlaneContract {
  readonly plane: ResponsePlane;
  readonly bytes: Bytes;
  readonly skip: readonly Skipped[];
}

const stallMs = 120;
const handshakeMs = 120;
const prologueMs = 120;
/** Limits that pass within a test are for the cases that are about them: a busy machine must not fail the others. */
const patient = { stallMs: 20_000, prologueMs: 20_000, handshakeMs: 20_000, closeMs: 20_000 };
const stopGraceMs = 80;
const closeMs = 80;

const handshake = encodeTwoPart({ header: encodeHandshake('s') });
const started = encodeTwoPart({ header: encodePrologue(null) });
const item = (value: unknown): Uint8Array => encodeTwoPart({ body: encodeItem(value, 'msgpack') });
const final = encodeTwoPart({ body: finalFrame('msgpack') });
const end = encodeTwoPart({ header: sentinel });
const word = (text: 'stop' | 'kill'): Uint8Array => encodeTwoPart({ header: Buffer.from(`"${text}"`) });
const whole = Buffer.concat([handshake, started, item({ i: 0 }), item({ i: 1 }), final, end]);
/** A frame's lengths, which announce so many bytes. */
const claim = (hex: string): Buffer => Buffer.from(`${'00'.repeat(8)}${hex}${'00'.repeat(8)}`, 'hex');

async function readAll(stream: ResponseStream): Promise<unknown[]> {
  const all: unknown[] = [];
  for (let batch = await stream.next(); batch !== undefined; batch = await stream.next()) all.push(...batch);
  return all;
}

/** Writes until the way is blocked, or so many times. */
async function fill(writer: ResponseWriter, value: unknown, times: number): Promise<number> {
  for (let written = 0; written < times; written++) {
    const full = writer.write([value]);
    if (full === undefined) continue;
    const blocked = await Promise.race([full.then(() => false), sleep(50).then(() => true)]);
    if (blocked) return written;
  }
  return times;
}

/** What every response plane promises. */
export function responsePlaneContract(contract: ResponsePlaneContract): void {
  const { plane, bytes } = contract;

  async function open(options: Partial<typeof patient> = {}) {
    const limits = { ...patient, ...options };
    await using undo = new AsyncDisposableStack();
    const { lines, log } = notebook();
    const listener = undo.use(await plane.listen({ host: '127.0.0.1', port: 0, log, ...limits, stopGraceMs }));
    const kept = undo.move();
    const expectStream = (subject = 's', codec: CodecName = 'msgpack'): ResponseStream => {
      const stream = listener.expect(subject, { codec });
      kept.defer(() => stream.leave());
      return stream;
    };
    /** A worker that calls home, and how it was told to stop. */
    const answer = (more: Partial<CallHomeOptions> & { subject?: string; address?: string } = {}) => {
      const told: string[] = [];
      const to = { address: more.address ?? listener.address, subject: more.subject ?? 's' };
      const writer = plane.callHome({ to, codec: 'msgpack', connectMs: 5_000, closeMs: limits.closeMs, onCancel: (how) => told.push(how), ...more });
      kept.defer(() => writer.drop());
      return { writer, told };
    };
    /** A bare worker that has sent so much. */
    const bare = async (...frames: Uint8Array[]): Promise<Socket> => {
      const socket = await bytes.connect(listener.address);
      kept.defer(() => void socket.destroy());
      socket.write(Buffer.concat(frames));
      return socket;
    };
    return { listener, expectStream, answer, bare, lines, stack: kept, [Symbol.asyncDispose]: () => kept.disposeAsync() };
  }
  const check = cases(open, contract.skip);

  for (const codec of ['json', 'msgpack'] as const) {
    check(`${codec}: a stream that is done`, async ({ expectStream, answer }) => {
      const stream = expectStream('s', codec);
      const { writer, told } = answer({ codec });
      for (let i = 0; i < 3; i++) await writer.write([{ i }, null]);
      const finished = writer.finish();
      expect(await readAll(stream)).toEqual([{ i: 0 }, null, { i: 1 }, null, { i: 2 }, null]);
      await finished;
      expect(told).toEqual([]);
    });

    check(`${codec}: a stream that throws tells its items first`, async ({ expectStream, answer }) => {
      const stream = expectStream('s', codec);
      const { writer, told } = answer({ codec });
      void writer.write([1, 2]);
      const finished = writer.finish(new DynamoError('engine_shutdown', 'gone', { origin: 'backend' }));
      expect(await stream.next()).toEqual([1, 2]);
      await expect(stream.next()).rejects.toMatchObject({ code: 'engine_shutdown', message: 'gone', origin: 'backend' });
      await expect(stream.next()).rejects.toMatchObject({ code: 'engine_shutdown' });
      await finished;
      expect(told).toEqual([]);
    });
  }

  check('a stream that is left kills its worker, which may go on writing into nothing', async ({ expectStream, answer }) => {
    const stream = expectStream();
    const { writer, told } = answer();
    void writer.write([1]);
    expect(await stream.next()).toEqual([1]);
    stream.leave();
    expect(await stream.next()).toBeUndefined();
    await expect.poll(() => told).toEqual(['kill']);
    await writer.write([2]);
    await writer.finish();
    expect(told).toEqual(['kill']);
  });

  for (const how of ['stop', 'kill'] as const) {
    check(`a stream that is told to ${how} ends at once, and its worker hears why`, async ({ expectStream, answer }) => {
      const stream = expectStream();
      const { writer, told } = answer();
      void writer.write([1]);
      expect(await stream.next()).toEqual([1]);
      stream.fail(new DynamoError('cancelled', 'enough'), how);
      await expect(stream.next()).rejects.toMatchObject({ code: 'cancelled', message: 'enough' });
      await expect.poll(() => told).toEqual([how]);
      await writer.finish(new DynamoError('cancelled', 'as you wish'));
    });
  }

  check('a worker that does not heed the stop is killed', async ({ expectStream, bare }) => {
    const stream = expectStream();
    const worker = await bare(handshake, started, item(1));
    const words = heard(worker);
    expect(await stream.next()).toEqual([1]);
    stream.fail(new DynamoError('cancelled', 'enough'), 'stop');
    const busy = setInterval(() => worker.write(item(2)), 5);
    expect(await words).toEqual(Buffer.concat([word('stop'), word('kill')]));
    clearInterval(busy);
  });

  check('a worker that comes after its caller has left is let go', async ({ expectStream, answer }) => {
    expectStream().leave();
    const { writer, told } = answer();
    await writer.write([1]);
    await expect.poll(() => told).toEqual(['stop']);
    await writer.finish();
  });

  check('an answer cut between any two bytes reads like one that came whole', async ({ expectStream, bare }) => {
    for (let cut = 1; cut < whole.length; cut++) {
      const stream = expectStream();
      const worker = await bare(whole.subarray(0, cut));
      await sleep(1);
      worker.write(whole.subarray(cut));
      expect(await readAll(stream), `cut at ${cut}`).toEqual([{ i: 0 }, { i: 1 }]);
    }
  });

  check('an answer that ends after any byte is typed, and keeps its whole items', async ({ expectStream, bare }) => {
    const bounds = [handshake, started, item({ i: 0 }), item({ i: 1 }), final].map(
      (
        (at) => (frame) =>
          (at += frame.length)
      )(0),
    ) as [number, number, number, number, number];
    for (let cut = bounds[0]; cut < whole.length; cut++) {
      const stream = expectStream();
      const worker = await bare(whole.subarray(0, cut));
      worker.end();
      const seen: unknown[] = [];
      const ended = (async () => {
        for (let batch = await stream.next(); batch !== undefined; batch = await stream.next()) seen.push(...batch);
        return 'clean';
      })().catch((error: unknown) => (DynamoError.is(error) ? error.code : error));
      const expected = cut < bounds[1] ? 'disconnected' : cut < bounds[4] ? 'stream_incomplete' : 'clean';
      expect(await ended, `ends at ${cut}`).toBe(expected);
      expect(seen).toEqual([...(cut >= bounds[2] ? [{ i: 0 }] : []), ...(cut >= bounds[3] ? [{ i: 1 }] : [])]);
    }
  });

  const broken: [string, Uint8Array[], object][] = [
    ['says in its prologue that it failed', [encodeTwoPart({ header: encodePrologue('boom') })], { code: 'unavailable', data: { broken: true } }],
    ['sends an item for a prologue', [item(1)], { code: 'unavailable', message: expect.stringContaining('malformed prologue') }],
    ['sends the sentinel without the final', [started, item(1), end], { code: 'stream_incomplete' }],
    ['sends an item after the final', [started, final, item(1)], { code: 'backend_protocol' }],
    ['claims 4 GiB', [started, claim('0000000100000000')], { code: 'backend_protocol', message: expect.stringContaining('passes the limit') }],
    ['claims 2^60 bytes', [started, claim('1000000000000000')], { code: 'backend_protocol' }],
    ['sends an item that is no msgpack', [started, encodeTwoPart({ body: Uint8Array.of(0xc1) }), final, end], { code: 'backend_protocol' }],
  ];
  for (const [name, frames, error] of broken) {
    check(`a worker that ${name} fails its own stream and no other`, async ({ expectStream, bare, answer }) => {
      const stream = expectStream();
      const other = expectStream('other');
      const { writer } = answer({ subject: 'other' });
      void writer.write([1]);
      expect(await other.next()).toEqual([1]);
      const closed = heard(await bare(handshake, ...frames));
      await expect(readAll(stream)).rejects.toMatchObject(error);
      await closed;
      void writer.write([2]);
      const finished = writer.finish();
      expect(await readAll(other)).toEqual([2]);
      await finished;
    });
  }

  check(
    'a call-home that says nothing, or half of who it is, is let go with one line',
    async ({ expectStream, bare, lines }) => {
      const stream = expectStream();
      const closed = Promise.all([heard(await bare()), heard(await bare(handshake.subarray(0, 30)))]);
      expect((await closed).map((answer) => answer.length)).toEqual([0, 0]);
      expect(lines).toEqual(Array(2).fill('a worker connected and did not say which stream it answers'));
      expect(stream.attached).toBe(false);
      await bare(handshake, started, final, end);
      expect(await readAll(stream)).toEqual([]);
    },
    { handshakeMs },
  );

  check(
    'a worker that sends half a frame and hangs fails its stream',
    async ({ expectStream, bare }) => {
      const stream = expectStream();
      const words = heard(await bare(handshake, started, item(1), item('x'.repeat(100)).subarray(0, 60)));
      expect(await stream.next()).toEqual([1]);
      await expect(stream.next()).rejects.toMatchObject({ code: 'stream_incomplete', message: expect.stringContaining(`no more for ${stallMs} ms`) });
      expect(await words).toEqual(Buffer.from(word('kill')));
    },
    { stallMs },
  );

  check(
    'the rest of a frame that waits while the event loop is busy is in time',
    async ({ expectStream, bare }) => {
      const stream = expectStream();
      const cut = handshake.length + started.length + item({ i: 0 }).length + 30;
      const worker = await bare(whole.subarray(0, cut));
      expect(await stream.next()).toHaveLength(1);
      // Not in a timer: those that are late must be the first thing that the loop comes to.
      setImmediate(() => {
        worker.write(whole.subarray(cut));
        for (const until = performance.now() + stallMs * 2; performance.now() < until;);
      });
      expect(await readAll(stream)).toEqual([{ i: 1 }]);
    },
    { stallMs },
  );

  check(
    'a worker that hangs after its last word is not waited for',
    async ({ expectStream, bare }) => {
      const done = expectStream();
      const failed = expectStream('failed');
      await bare(handshake, started, item(1), final);
      await bare(
        encodeTwoPart({ header: encodeHandshake('failed') }),
        started,
        encodeTwoPart({ body: encodeErrorItem(new Error('boom'), 'msgpack') }),
      );
      expect(await readAll(done)).toEqual([1]);
      await expect(readAll(failed)).rejects.toMatchObject({ code: 'unknown', message: 'Error: boom' });
    },
    { stallMs },
  );

  check(
    'a worker may be silent between frames for as long as it likes',
    async ({ expectStream, bare }) => {
      const stream = expectStream();
      const worker = await bare(handshake, started, item(1));
      expect(await stream.next()).toEqual([1]);
      await sleep(stallMs * 2);
      worker.write(Buffer.concat([item(2), final, end]));
      expect(await readAll(stream)).toEqual([2]);
    },
    { stallMs },
  );

  check(
    'a slow reader holds its worker back, loses nothing and stops nobody else',
    async ({ expectStream, answer }) => {
      const slow = expectStream();
      const quick = expectStream('quick');
      const { writer } = answer();
      const written = await fill(writer, 'x'.repeat(100_000), 1_000);
      expect(written).toBeLessThan(1_000);
      const other = answer({ subject: 'quick' });
      const otherDone = Promise.all([fill(other.writer, 1, 1_000).then(() => other.writer.finish()), readAll(quick)]);
      expect((await otherDone)[1]).toHaveLength(1_000);
      // Longer than a stall: the worker has begun a frame and can't go on, which is not its fault.
      await sleep(stallMs * 2);
      const finished = writer.finish();
      expect(await readAll(slow)).toEqual(Array.from({ length: written + 1 }, () => 'x'.repeat(100_000)));
      await finished;
    },
    { stallMs },
  );

  check('a reader that never drains keeps a bounded amount, and leaving frees the worker', async ({ expectStream, answer }) => {
    const slow = expectStream();
    const { writer, told } = answer();
    const held = process.memoryUsage().arrayBuffers;
    const written = await fill(writer, 'x'.repeat(100_000), 2_000);
    expect(written).toBeLessThan(1_000);
    expect(process.memoryUsage().arrayBuffers - held).toBeLessThan(64 << 20);
    slow.leave();
    await expect.poll(() => told).toEqual(['kill']);
    await writer.finish();
  });

  check(
    'a caller that reads the end slowly gets all of it, however long that takes',
    async ({ stack, answer }) => {
      const caller = Promise.withResolvers<Socket>();
      const home = stack.use(await bytes.listen((socket) => caller.resolve(socket.pause())));
      const { writer } = answer({ address: home.address });
      const large = 'x'.repeat(32 << 20);
      void writer.write([large]);
      const finished = writer.finish();
      const socket = await caller.promise;
      await sleep(closeMs * 3);
      let received = 0;
      socket.on('data', (chunk: Buffer) => (received += chunk.length)).resume();
      await finished;
      await expect.poll(() => received).toBe(handshake.length + started.length + item(large).length + final.length + end.length);
    },
    { closeMs },
  );

  check(
    'a caller that does not close after the end is not waited for',
    async ({ stack, answer }) => {
      const home = stack.use(await bytes.listen((socket) => socket.resume()));
      const { writer, told } = answer({ address: home.address });
      await writer.write([1]);
      await writer.finish();
      expect(told).toEqual([]);
    },
    { closeMs },
  );

  check('a caller that is not there, or goes, stops the worker', async ({ stack, answer }) => {
    const closed = await bytes.listen(() => {});
    await closed[Symbol.asyncDispose]();
    const lonely = answer({ address: closed.address });
    await expect.poll(() => lonely.told).toEqual(['stop']);
    await lonely.writer.finish();
    const home = stack.use(await bytes.listen((socket) => socket.once('data', () => socket.destroy())));
    const left = answer({ address: home.address });
    await expect.poll(() => left.told).toEqual(['stop']);
    expect(() => answer({ address: 'nowhere' })).toThrow(expect.objectContaining({ code: 'backend_protocol' }));
  });

  check('a caller that sends anything but stop and kill is not understood', async ({ stack, answer }) => {
    for (const nonsense of [Buffer.from('GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n'), encodeTwoPart({ header: Buffer.from('"pause"') })]) {
      const home = stack.use(await bytes.listen((socket) => socket.write(nonsense)));
      const { told } = answer({ address: home.address });
      await expect.poll(() => told).toEqual(['kill']);
    }
  });

  check('a stop that comes byte by byte is a stop', async ({ stack, answer }) => {
    const caller = Promise.withResolvers<Socket>();
    const home = stack.use(await bytes.listen(caller.resolve));
    const { told } = answer({ address: home.address });
    for (const byte of word('stop')) {
      (await caller.promise).write(Uint8Array.of(byte));
      await sleep(1);
    }
    await expect.poll(() => told).toEqual(['stop']);
  });

  check('strangers are let go: an unknown subject, garbage, and a subject that was shown already', async ({ expectStream, bare }) => {
    const stream = expectStream();
    expect(await heard(await bare(encodeTwoPart({ header: encodeHandshake('other') })))).toHaveLength(0);
    expect(await heard(await bare(Buffer.from('GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n')))).toHaveLength(0);
    const worker = await bare(handshake);
    await expect.poll(() => stream.attached).toBe(true);
    expect(await heard(await bare(handshake))).toHaveLength(0);
    worker.write(Buffer.concat([started, item(1), final, end]));
    expect(await readAll(stream)).toEqual([1]);
  });

  check('a listener that closes ends the streams that run', async ({ listener, expectStream, answer }) => {
    const stream = expectStream();
    const { writer, told } = answer();
    void writer.write([1]);
    expect(await stream.next()).toEqual([1]);
    await listener[Symbol.asyncDispose]();
    await expect(stream.next()).rejects.toMatchObject({ code: 'cancelled', message: 'the runtime is shutting down' });
    await expect.poll(() => told).toEqual(['kill']);
  });

  check('a stop may be followed by a kill while the worker goes on', async ({ listener, stack, answer }) => {
    const kill = new AbortController();
    const stream = listener.expect('s', { codec: 'msgpack', kill: kill.signal });
    stack.defer(() => stream.leave());
    const { writer, told } = answer();
    void writer.write([1]);
    expect(await stream.next()).toEqual([1]);
    stream.fail(new DynamoError('cancelled', 'enough'), 'stop');
    stream.leave();
    await expect.poll(() => told).toEqual(['stop']);
    // What it says now has nobody left to go to.
    expect(writer.write([2])).toBeUndefined();
    kill.abort();
    await expect.poll(() => told).toEqual(['stop', 'kill']);
    await writer.finish();
    await expect.poll(() => getEventListeners(kill.signal, 'abort')).toEqual([]);
  });

  check('a kill ends a stream that runs, and a stream that is done or left follows the signal no more', async ({ listener, stack, answer }) => {
    const kill = new AbortController();
    const open = (subject: string): ResponseStream => {
      const stream = listener.expect(subject, { codec: 'msgpack', kill: kill.signal });
      stack.defer(() => stream.leave());
      return stream;
    };
    const [running, done] = [open('running'), open('done')];
    open('left').leave();
    const { writer, told } = answer({ subject: 'running' });
    void writer.write([1]);
    expect(await running.next()).toEqual([1]);
    const finished = answer({ subject: 'done' }).writer.finish();
    expect(await readAll(done)).toEqual([]);
    done.leave();
    await finished;
    await expect.poll(() => getEventListeners(kill.signal, 'abort')).toHaveLength(1);
    kill.abort(new DynamoError('cancelled', 'at once', { data: { kind: 'kill' } }));
    await expect(running.next()).rejects.toMatchObject({ code: 'cancelled', message: 'at once' });
    await expect.poll(() => told).toEqual(['kill']);
    await writer.finish();
  });

  check(
    'a worker that calls home and never says whether it has started fails its stream',
    async ({ expectStream, bare }) => {
      const [silent, half] = [expectStream(), expectStream('half')];
      await bare(handshake);
      await bare(encodeTwoPart({ header: encodeHandshake('half') }), started.subarray(0, 20));
      for (const stream of [silent, half])
        await expect(stream.next()).rejects.toMatchObject({ code: 'connection_timeout', data: { limit: 'prologue', ms: prologueMs } });
    },
    { prologueMs },
  );

  check('the bytes of items and of the final frame are counted as the real worker counts them', async ({ expectStream, answer }) => {
    const stream = expectStream();
    const { writer } = answer();
    void writer.write([{ i: 0 }, { i: 1 }]);
    void writer.write([{ i: 2 }]);
    const finished = writer.finish();
    expect(await readAll(stream)).toHaveLength(3);
    await finished;
    expect(writer.itemBytes).toBe(113);
  });

  check('an answer that is garbled anywhere ends, typed or whole, and the next one is read', async ({ expectStream, bare }) => {
    for (const garbled of fc.sample(garbledBytes(whole.subarray(handshake.length)), { numRuns: 300, seed: 20261125 })) {
      const stream = expectStream();
      (await bare(handshake, garbled)).end();
      const ended = await readAll(stream).then(
        () => true,
        (error: unknown) => DynamoError.is(error),
      );
      expect(ended, Buffer.from(garbled).toString('hex')).toBe(true);
    }
    const stream = expectStream();
    await bare(whole);
    expect(await readAll(stream)).toEqual([{ i: 0 }, { i: 1 }]);
  });
}
