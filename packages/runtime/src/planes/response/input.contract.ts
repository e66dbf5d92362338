import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import { DynamoError } from '../../error.ts';
import { type CodecName, codecs } from '../../wire/codec.ts';
import { encodeHandshake, sentinel, words } from '../../wire/control.ts';
import { encodeTwoPart } from '../../wire/two-part.ts';
import { cases, heard } from '../testing/stage.ts';
import type { InputOptions, InputReader, InputWriter } from './response-plane.ts';
import type { ResponsePlaneContract } from './response-plane.contract.ts';

const stallMs = 120;
const patient = { stallMs: 20_000 };

const handshake = encodeTwoPart({ header: encodeHandshake('in', 'request') });
const item = (value: unknown): Uint8Array => encodeTwoPart({ body: codecs.msgpack.encode(value) });
const word = (name: 'stop' | 'kill' | 'done'): Uint8Array => encodeTwoPart({ header: name === 'done' ? sentinel : words[name] });

async function readAll(reader: InputReader, into: unknown[] = []): Promise<unknown[]> {
  for (let batch = await reader.next(); batch !== undefined; batch = await reader.next()) into.push(...batch);
  return into;
}

/** What every response plane promises of requests that are streams of items (spec runtime-wire 7). */
export function inputContract({ plane, bytes, skip }: ResponsePlaneContract): void {
  async function open(options: Partial<typeof patient> = {}) {
    const limits = { ...patient, ...options };
    await using undo = new AsyncDisposableStack();
    const listener = undo.use(await plane.listen({ host: '127.0.0.1', port: 0 }));
    const kept = undo.move();
    const expectInput = (subject = 'in'): InputWriter => {
      const writer = listener.expectInput(subject);
      kept.defer(() => writer.end('kill'));
      return writer;
    };
    /** A worker that fetches the items, and how it heard that they end early. */
    const fetchInput = (more: Partial<InputOptions> & { address?: string; subject?: string } = {}) => {
      const told: [string, string][] = [];
      const to = { address: more.address ?? listener.address, subject: more.subject ?? 'in' };
      const onCancel: InputOptions['onCancel'] = (how, error) => told.push([how, error.code]);
      const reader = plane.openInput({ to, codec: 'msgpack', connectMs: 5_000, ...limits, onCancel, ...more });
      kept.defer(() => reader.leave());
      return { reader, told };
    };
    /** A bare caller whom a worker asks for items, with what it says at once. */
    const bareCaller = async (...frames: Uint8Array[]) => {
      const socket = Promise.withResolvers<Socket>();
      const home = kept.use(
        await bytes.listen((came) => {
          if (frames.length > 0) came.write(Buffer.concat(frames));
          socket.resolve(came);
        }),
      );
      return { address: home.address, socket: socket.promise };
    };
    return { listener, expectInput, fetchInput, bareCaller, stack: kept, [Symbol.asyncDispose]: () => kept.disposeAsync() };
  }
  const check = cases(open, skip);

  for (const codec of ['json', 'msgpack'] as const satisfies readonly CodecName[]) {
    check(`${codec}: input that is done: every item in order, then the end`, async ({ expectInput, fetchInput }) => {
      const writer = expectInput();
      expect(writer.attached).toBe(false);
      const { reader, told } = fetchInput({ codec });
      expect(await writer.ready).toBe(true);
      expect(writer.attached).toBe(true);
      const values = [1, null, 'é', { id: 11684015588889706191n }, [2.5]];
      for (const value of values) void writer.write([codecs[codec].encode(value)]);
      writer.end('done');
      expect(await readAll(reader)).toEqual(values);
      expect(await reader.next()).toBeUndefined();
      await writer.closed;
      expect(told).toEqual([]);
    });
  }

  check('the bytes that a caller sends are body-only items and one closing frame', async ({ expectInput, listener, stack }) => {
    for (const how of ['done', 'stop', 'kill'] as const) {
      const writer = expectInput();
      const worker = await bytes.connect(listener.address);
      stack.defer(() => void worker.destroy());
      worker.write(handshake);
      const said = heard(worker);
      await writer.ready;
      void writer.write([codecs.msgpack.encode(1), codecs.msgpack.encode('two')]);
      writer.end(how);
      writer.end('kill');
      expect(writer.write([codecs.msgpack.encode(3)])).toBeUndefined();
      expect(await said).toEqual(Buffer.concat([item(1), item('two'), word(how)]));
    }
  });

  for (const how of ['stop', 'kill'] as const) {
    check(`input that is ended by ${how}: the items before it, then why`, async ({ expectInput, fetchInput }) => {
      const writer = expectInput();
      const { reader, told } = fetchInput();
      await writer.ready;
      void writer.write([codecs.msgpack.encode(1)]);
      writer.end(how);
      const seen: unknown[] = [];
      await expect(readAll(reader, seen)).rejects.toMatchObject({ code: 'cancelled', data: { kind: how } });
      expect(seen).toEqual([1]);
      expect(told).toEqual([[how, 'cancelled']]);
    });
  }

  check('input that its worker leaves: the caller hears it, and what it still sends goes nowhere', async ({ expectInput, fetchInput }) => {
    const writer = expectInput();
    const { reader, told } = fetchInput();
    await writer.ready;
    void writer.write([codecs.msgpack.encode(1)]);
    expect(await reader.next()).toEqual([1]);
    reader.leave();
    await writer.closed;
    expect(writer.write([codecs.msgpack.encode(2)])).toBeUndefined();
    writer.end('done');
    expect(await reader.next()).toBeUndefined();
    expect(told).toEqual([]);
  });

  check('input that ends before its worker comes expects nobody any more', async ({ expectInput, fetchInput }) => {
    const writer = expectInput();
    writer.end('kill');
    expect(await writer.ready).toBe(false);
    await writer.closed;
    const { reader, told } = fetchInput();
    await expect(reader.next()).rejects.toMatchObject({ code: 'stream_incomplete' });
    expect(told).toEqual([['kill', 'stream_incomplete']]);
  });

  check('input cut between any two bytes reads like one that came whole', async ({ bareCaller, fetchInput }) => {
    const whole = Buffer.concat([item({ i: 0 }), item({ i: 1 }), word('done')]);
    for (let cut = 0; cut < whole.length; cut++) {
      const caller = await bareCaller();
      const { reader } = fetchInput({ address: caller.address });
      const socket = await caller.socket;
      if (cut > 0) socket.write(whole.subarray(0, cut));
      await sleep(1);
      socket.write(whole.subarray(cut));
      expect(await readAll(reader), `cut at ${cut}`).toEqual([{ i: 0 }, { i: 1 }]);
    }
  });

  check('input that breaks off after any byte kills the request and keeps its whole items', async ({ bareCaller, fetchInput }) => {
    const whole = Buffer.concat([item({ i: 0 }), item({ i: 1 }), word('done')]);
    for (let cut = 0; cut < whole.length; cut++) {
      const caller = await bareCaller();
      const { reader, told } = fetchInput({ address: caller.address });
      (await caller.socket).end(whole.subarray(0, cut));
      const seen: unknown[] = [];
      await expect(readAll(reader, seen), `ends at ${cut}`).rejects.toMatchObject({ code: 'stream_incomplete' });
      expect(seen).toEqual([{ i: 0 }, { i: 1 }].slice(0, Math.floor(cut / item({ i: 0 }).length)));
      expect(told).toEqual([['kill', 'stream_incomplete']]);
    }
  });

  const claim = Buffer.from(`${'00'.repeat(8)}1000000000000000${'00'.repeat(8)}`, 'hex');
  for (const [name, frame] of [
    ['an item that is no msgpack', encodeTwoPart({ body: Uint8Array.of(0xc1) })],
    ['a word that nobody knows', encodeTwoPart({ header: Buffer.from('"pause"') })],
    ['a claim of 2^60 bytes', claim],
    ['a web request', Buffer.from('GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n')],
  ] as const) {
    check(`${name} kills the request`, async ({ bareCaller, fetchInput }) => {
      const caller = await bareCaller(item(1), frame);
      const { reader, told } = fetchInput({ address: caller.address });
      const seen: unknown[] = [];
      await expect(readAll(reader, seen)).rejects.toMatchObject({ code: 'backend_protocol' });
      expect(seen).toEqual([1]);
      expect(told).toEqual([['kill', 'backend_protocol']]);
      expect(await heard(await caller.socket)).toEqual(Buffer.from(handshake));
    });
  }

  check(
    'a caller that sends half an item and hangs kills the request',
    async ({ bareCaller, fetchInput }) => {
      const caller = await bareCaller(item('x'.repeat(100)).subarray(0, 60));
      const { reader } = fetchInput({ address: caller.address });
      await expect(reader.next()).rejects.toMatchObject({ code: 'stream_incomplete', message: expect.stringContaining(`no more for ${stallMs} ms`) });
    },
    { stallMs },
  );

  check(
    'a caller may be silent between items for as long as it likes',
    async ({ expectInput, fetchInput }) => {
      const writer = expectInput();
      const { reader } = fetchInput();
      await writer.ready;
      await sleep(stallMs * 2);
      void writer.write([codecs.msgpack.encode(1)]);
      expect(await reader.next()).toEqual([1]);
    },
    { stallMs },
  );

  check('a caller that is not there kills the request, and an address that is none is told', async ({ stack, fetchInput }) => {
    const closed = stack.use(await bytes.listen(() => {}));
    await closed[Symbol.asyncDispose]();
    const { reader, told } = fetchInput({ address: closed.address });
    await expect(reader.next()).rejects.toMatchObject({ code: 'stream_incomplete' });
    expect(told).toEqual([['kill', 'stream_incomplete']]);
    expect(() => fetchInput({ address: 'nowhere' })).toThrow(expect.objectContaining({ code: 'backend_protocol' }));
  });

  check(
    'a worker that does not take items holds its caller back, and loses none',
    async ({ expectInput, fetchInput }) => {
      const writer = expectInput();
      const { reader } = fetchInput();
      await writer.ready;
      const large = codecs.msgpack.encode('x'.repeat(100_000));
      let written = 0;
      for (; written < 2_000; written++) {
        const full = writer.write([large]);
        if (full !== undefined && (await Promise.race([full.then(() => false), sleep(50).then(() => true)]))) break;
      }
      expect(written).toBeLessThan(1_000);
      await sleep(stallMs * 2);
      writer.end('done');
      expect(await readAll(reader)).toHaveLength(written + 1);
    },
    { stallMs },
  );

  check('a listener that closes breaks off the input', async ({ listener, expectInput, fetchInput }) => {
    const writer = expectInput();
    const { reader, told } = fetchInput();
    await writer.ready;
    await listener[Symbol.asyncDispose]();
    await expect(reader.next()).rejects.toSatisfy((error) => DynamoError.is(error, 'stream_incomplete'));
    expect(told).toEqual([['kill', 'stream_incomplete']]);
  });
}
