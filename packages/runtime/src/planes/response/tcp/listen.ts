import type { Socket } from 'node:net';
import { listen, type Listener } from '../../../net/listen.ts';
import { FrameBuffer } from '../../../net/frame-buffer.ts';
import { decodeHandshake } from '../../../wire/control.ts';
import { spanTwoPart } from '../../../wire/two-part.ts';
import type { ResponseReader } from './reader.ts';

/** How long a socket may take to say which stream it belongs to, in milliseconds. */
const handshakeMs = 10_000;

/** A handshake is some hundred bytes; more is no handshake. */
const maxHandshakeBytes = 64 * 1024;

/** Where workers call home: one listener a runtime, one connection a stream. */
export interface ResponseListener extends Listener {
  /** Expects a worker to show `subject`; disposing stops expecting it. */
  expect(subject: string, reader: ResponseReader): Disposable;
}

/** Opens the response plane's listener. */
export async function listenForResponses(options: { host: string; port: number }): Promise<ResponseListener> {
  const expected = new Map<string, ResponseReader>();
  const listener = await listen({ ...options, accept: (socket) => greet(socket, expected) });
  return {
    address: listener.address,
    expect(subject, reader) {
      expected.set(subject, reader);
      return { [Symbol.dispose]: () => void expected.delete(subject) };
    },
    [Symbol.asyncDispose]: () => listener[Symbol.asyncDispose](),
  };
}

function greet(socket: Socket, expected: Map<string, ResponseReader>): void {
  const frames = new FrameBuffer();
  const timer = setTimeout(() => socket.destroy(), handshakeMs).unref();
  socket.on('error', () => {}); // 'close' follows, and that is where it is handled.
  socket.once('close', () => clearTimeout(timer));
  const onData = (chunk: Buffer): void => {
    const bytes = frames.add(chunk);
    const handshake = readHandshake(bytes);
    if (handshake === undefined) return frames.keep(bytes, 0);
    clearTimeout(timer);
    socket.off('data', onData);
    const reader = expected.get(handshake.subject);
    expected.delete(handshake.subject);
    if (reader === undefined) socket.destroy();
    else reader.attach(socket, bytes.subarray(handshake.end));
  };
  socket.on('data', onData);
}

/** The subject of a complete handshake; an empty one, which nobody expects, for anything else. */
function readHandshake(bytes: Buffer): { subject: string; end: number } | undefined {
  try {
    const span = spanTwoPart(bytes, 0, maxHandshakeBytes);
    return span === undefined ? undefined : { subject: decodeHandshake(bytes.subarray(span.headerStart, span.bodyStart)), end: span.end };
  } catch {
    return { subject: '', end: bytes.length };
  }
}
