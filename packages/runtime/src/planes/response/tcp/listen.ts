import type { Socket } from 'node:net';
import { DynamoError } from '../../../error.ts';
import { type Logger, silentLogger } from '../../../log.ts';
import { Deadline } from '../../../net/deadline.ts';
import { FrameBuffer } from '../../../net/frame-buffer.ts';
import { listen } from '../../../net/listen.ts';
import { speaksTls, type TlsServer } from '../../../net/tls.ts';
import { decodeHandshake } from '../../../wire/control.ts';
import { spanTwoPart } from '../../../wire/two-part.ts';
import type { ResponseListener, ResponseListenOptions } from '../response-plane.ts';
import { TcpInputWriter } from './input-writer.ts';
import { TcpResponseStream } from './stream.ts';

export type { ResponseListener } from '../response-plane.ts';

/** How long a socket may take to say which stream it belongs to, in milliseconds. */
const defaultHandshakeMs = 10_000;

/** How long a worker may leave a frame incomplete, in milliseconds. */
const defaultStallMs = 30_000;

/** How long a worker may leave open whether its handler has started, in milliseconds: some start only when a queue lets them. */
const defaultPrologueMs = 60_000;

/** How long a worker may take to close after a stop before it is killed, in milliseconds. */
const defaultStopGraceMs = 5_000;

/** A handshake is some hundred bytes; more is no handshake. */
const maxHandshakeBytes = 64 * 1024;

/** What a worker calls home for. */
interface Expected {
  attach(socket: Socket, rest: Buffer): void;
}

/** Opens the response plane's listener. */
export async function listenForResponses(options: ResponseListenOptions, tls?: TlsServer): Promise<ResponseListener> {
  const { host, port, log = silentLogger, handshakeMs = defaultHandshakeMs } = options;
  const limits = {
    stallMs: options.stallMs ?? defaultStallMs,
    prologueMs: options.prologueMs ?? defaultPrologueMs,
    stopGraceMs: options.stopGraceMs ?? defaultStopGraceMs,
  };
  const expected = new Map<string, Expected>();
  const open = new Set<TcpResponseStream>();
  const listener = await listen({ host, port, log, tls, halfOpen: true, accept: (socket) => greet(socket, { expected, handshakeMs, log }) });
  return {
    address: listener.address,
    expect(subject, how) {
      const onLeave = (): void => {
        expected.delete(subject);
        open.delete(stream);
      };
      const stream = new TcpResponseStream({ ...how, limits, onLeave });
      expected.set(subject, stream);
      open.add(stream);
      return stream;
    },
    expectInput(subject) {
      const input = new TcpInputWriter({ onEnd: () => void expected.delete(subject) });
      expected.set(subject, input);
      return input;
    },
    async [Symbol.asyncDispose]() {
      for (const stream of open) stream.fail(new DynamoError('cancelled', 'the runtime is shutting down', { data: { kind: 'kill' } }), 'kill');
      await listener[Symbol.asyncDispose]();
    },
  };
}

function greet(socket: Socket, options: { expected: Map<string, Expected>; handshakeMs: number; log: Logger }): void {
  const { expected, handshakeMs, log } = options;
  const frames = new FrameBuffer();
  // Asked for only when there is something to say: it is a system call, and every answer has a connection of its own.
  const peer = (): string | undefined => socket.remoteAddress;
  const deadline = new Deadline(handshakeMs, () => {
    log.warn({ peer: peer(), handshakeMs }, 'a worker connected and did not say which stream it answers');
    socket.destroy();
  });
  deadline.start();
  socket.on('error', () => {}); // 'close' follows, and that is where it is handled.
  socket.once('close', () => deadline.stop());
  const onEnd = (): void => void socket.destroy();
  socket.once('end', onEnd);
  const onData = (chunk: Buffer): void => {
    const bytes = frames.add(chunk);
    const handshake = readHandshake(bytes);
    if (handshake === undefined) return frames.keep(bytes, 0);
    deadline.stop();
    const stream = expected.get(handshake.subject);
    expected.delete(handshake.subject);
    if (stream !== undefined) {
      socket.off('data', onData).off('end', onEnd);
      return stream.attach(socket, bytes.subarray(handshake.end));
    }
    if (speaksTls(bytes)) log.warn({ peer: peer() }, 'a worker calls home in TLS, and this port speaks plain text: set DYN_TCP_TLS_CERT_PATH');
    // Common and harmless: the caller has left before its worker came.
    else log.debug({ peer: peer(), subject: handshake.subject }, 'let go a worker whose stream nobody expects');
    socket.destroy();
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
