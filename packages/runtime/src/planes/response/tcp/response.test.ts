import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { encodeItem, finalFrame } from '../../../wire/annotated.ts';
import { encodeHandshake, encodePrologue, sentinel } from '../../../wire/control.ts';
import { encodeTwoPart } from '../../../wire/two-part.ts';
import { listenForResponses } from './listen.ts';
import { ResponseReader } from './reader.ts';

const handshake = encodeTwoPart({ header: encodeHandshake('s') });
const started = encodeTwoPart({ header: encodePrologue(null) });
const item = (value: unknown): Uint8Array => encodeTwoPart({ body: encodeItem(value, 'msgpack') });
const final = encodeTwoPart({ body: finalFrame('msgpack') });
const end = encodeTwoPart({ header: sentinel });

/** A listener that expects subject `s`, and a bare socket that plays the worker. */
async function stage() {
  const stack = new AsyncDisposableStack();
  const listener = stack.use(await listenForResponses({ host: '127.0.0.1', port: 0 }));
  const reader = new ResponseReader({ codec: 'msgpack' });
  stack.use(listener.expect('s', reader));
  const worker = connect(Number(listener.address.split(':')[1]), '127.0.0.1');
  worker.on('error', () => {});
  stack.defer(() => void worker.destroy());
  await once(worker, 'connect');
  return { reader, worker, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

async function readAll(reader: ResponseReader): Promise<unknown[]> {
  const all: unknown[] = [];
  for (let batch = await reader.next(); batch !== undefined; batch = await reader.next()) all.push(...batch);
  return all;
}

const whole = Buffer.concat([handshake, started, item({ i: 0 }), item({ i: 1 }), final, end]);

test('an answer cut into single bytes reads like one that came whole', async () => {
  await using cut = await stage();
  cut.worker.setNoDelay(true);
  const reading = readAll(cut.reader);
  for (const byte of whole) {
    cut.worker.write(Uint8Array.of(byte));
    if (byte % 7 === 0) await sleep(0);
  }
  expect(await reading).toEqual([{ i: 0 }, { i: 1 }]);
});

test('a final frame without a sentinel is a clean end once the socket closes', async () => {
  await using scene = await stage();
  scene.worker.end(Buffer.concat([handshake, started, item(1), final]));
  expect(await readAll(scene.reader)).toEqual([1]);
});

const broken: [string, Uint8Array[], object][] = [
  ['closes before its prologue', [handshake], { code: 'disconnected', message: 'Worker disconnected before response stream was established' }],
  [
    'says in its prologue that it failed',
    [handshake, encodeTwoPart({ header: encodePrologue('boom') })],
    { code: 'unavailable', message: expect.stringContaining('boom') },
  ],
  ['sends an item for a prologue', [handshake, item(1)], { code: 'unavailable', message: expect.stringContaining('malformed prologue') }],
  ['closes in the middle', [handshake, started, item(1)], { code: 'stream_incomplete' }],
  ['sends the sentinel without the final', [handshake, started, item(1), end], { code: 'stream_incomplete' }],
  ['closes in the middle of a frame', [handshake, started, item(1), item(2).subarray(0, 30)], { code: 'stream_incomplete' }],
  ['sends an item after the final', [handshake, started, final, item(1)], { code: 'backend_protocol' }],
  [
    'claims 2^60 bytes',
    [handshake, started, Buffer.from(`1000000000000000${'00'.repeat(16)}`, 'hex')],
    { code: 'backend_protocol', message: expect.stringContaining('passes the limit') },
  ],
  ['sends an item that is no msgpack', [handshake, started, encodeTwoPart({ body: Uint8Array.of(0xc1) })], { code: 'backend_protocol' }],
];

test.each(broken)('a worker that %s ends the stream with a typed error', async (_name, frames, error) => {
  await using scene = await stage();
  scene.worker.end(Buffer.concat(frames));
  await expect(readAll(scene.reader)).rejects.toMatchObject(error);
});

test('good items come before the error that follows them in the same read', async () => {
  await using scene = await stage();
  scene.worker.end(Buffer.concat([handshake, started, item(1), item(2)]));
  expect(await scene.reader.next()).toEqual([1, 2]);
  await expect(scene.reader.next()).rejects.toMatchObject({ code: 'stream_incomplete' });
});

test('strangers are let go: an unknown subject, garbage, and the same subject twice', async () => {
  await using scene = await stage();
  const address = scene.worker.remotePort ?? 0;
  const stranger = async (bytes: Uint8Array): Promise<void> => {
    const socket: Socket = connect(address, '127.0.0.1');
    socket.on('error', () => {});
    socket.write(bytes);
    await once(socket, 'close');
  };
  await stranger(encodeTwoPart({ header: encodeHandshake('other') }));
  await stranger(Buffer.from('GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n'));
  scene.worker.write(handshake);
  await expect.poll(() => scene.reader.attached).toBe(true);
  await stranger(handshake);
  scene.worker.end(Buffer.concat([started, item(1), final, end]));
  expect(await readAll(scene.reader)).toEqual([1]);
});
