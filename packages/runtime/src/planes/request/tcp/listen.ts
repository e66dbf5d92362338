import type { Socket } from 'node:net';
import type { Logger } from '../../../log.ts';
import { Deadline } from '../../../net/deadline.ts';
import { FrameBuffer } from '../../../net/frame-buffer.ts';
import { listen } from '../../../net/listen.ts';
import { speaksTls, type TlsServer } from '../../../net/tls.ts';
import { encodeAck, requestFrameBytes, type RequestSpan, spanRequestFrame } from '../../../wire/request-frame.ts';
import { offer } from '../refusal.ts';
import type { Accept, RequestListener, RequestListenOptions } from '../request-plane.ts';

/** How long a peer may leave a frame incomplete or acknowledgements unread, in milliseconds: then it is let go. */
const defaultStallMs = 30_000;

/** How long a refused peer may take to read why, in milliseconds. */
const lingerMs = 1_000;

const accepted = encodeAck('');

/** What a connection needs of its listener. */
interface Inlet {
  readonly handlers: ReadonlyMap<string, Accept>;
  readonly maxFrameBytes: number;
  readonly stallMs: number;
  readonly log: Logger;
}

/** Opens the request plane's receiving side. */
export async function listenForRequests(options: RequestListenOptions, tls?: TlsServer): Promise<RequestListener> {
  const { host, port, log, maxFrameBytes, stallMs = defaultStallMs } = options;
  const handlers = new Map<string, Accept>();
  const inlet: Inlet = { handlers, maxFrameBytes, stallMs, log };
  const listener = await listen({ host, port, log, tls, accept: (socket) => serve(socket, inlet) });
  return {
    address: listener.address,
    locate({ namespace, component, endpoint, id }) {
      const path = `${id.toString(16)}/${namespace}/${component}/${endpoint}`;
      return { path, transport: { tcp: `${listener.address}/${path}` } };
    },
    async handle(path, accept) {
      handlers.set(path, accept);
      return {
        [Symbol.dispose]() {
          if (handlers.get(path) === accept) handlers.delete(path);
        },
      };
    },
    [Symbol.asyncDispose]: () => listener[Symbol.asyncDispose](),
  };
}

function serve(socket: Socket, inlet: Inlet): void {
  const frames = new FrameBuffer();
  const peer = socket.remoteAddress;
  const giveUp = (what: string) => (): void => {
    inlet.log.warn({ peer, stallMs: inlet.stallMs }, what);
    socket.destroy();
  };
  const half = new Deadline(inlet.stallMs, giveUp('a peer sent part of a request and no more'));
  const unread = new Deadline(inlet.stallMs, giveUp('a peer sends requests and takes no acknowledgements'));
  const linger = new Deadline(lingerMs, () => socket.destroy());

  let fresh = true;

  function onData(chunk: Buffer): void {
    half.stop();
    if (fresh && speaksTls(chunk)) return breakOff('the peer speaks TLS, and this port plain text: set DYN_TCP_TLS_CERT_PATH');
    fresh = false;
    const bytes = frames.add(chunk);
    let at: number;
    // The acknowledgements of one read leave in one segment.
    socket.cork();
    try {
      at = take(bytes);
    } catch (error) {
      breakOff(error);
      return;
    } finally {
      socket.uncork();
    }
    frames.keep(bytes, at, requestFrameBytes(bytes, at));
    if (socket.writableNeedDrain) holdBack();
    else if (frames.pending) half.start();
  }

  function take(bytes: Buffer): number {
    let at = 0;
    for (;;) {
      const span = spanRequestFrame(bytes, at, inlet.maxFrameBytes);
      if (span === undefined) return at;
      const refusal = accept(inlet, span, frames.own(bytes, span.payload));
      socket.write(refusal === undefined ? accepted : encodeAck(refusal));
      at = span.end;
    }
  }

  /** A peer that takes no acknowledgements gets no more of its requests read. */
  function holdBack(): void {
    socket.pause();
    unread.start();
    socket.once('drain', () => {
      unread.stop();
      if (frames.pending) half.start();
      socket.resume();
    });
  }

  /** Where the next frame begins is not known any more: nothing is read on, and the peer hears why. */
  function breakOff(error: unknown): void {
    const why = error instanceof Error ? error.message : String(error);
    inlet.log.warn({ error: why, peer }, 'closed a request connection');
    socket.off('data', onData).resume();
    socket.end(encodeAck(`Read error: ${why}`));
    linger.start();
  }

  socket.on('error', () => {}); // 'close' follows; a caller that goes takes nothing with it here.
  socket.once('close', () => {
    for (const deadline of [half, unread, linger]) deadline.stop();
  });
  socket.on('data', onData);
}

function accept({ handlers, log }: Inlet, span: RequestSpan, payload: Buffer): string | undefined {
  const path = span.path.toString();
  if (path.includes('\uFFFD')) return 'Invalid endpoint path';
  return offer(handlers.get(path), { headers: readHeaders(span.headers), payload }, { path, log });
}

/** None of the headers is needed to answer, so what can't be read is left out. */
function readHeaders(bytes: Buffer): Record<string, string> {
  if (bytes.length === 0) return {};
  try {
    const value: unknown = JSON.parse(bytes.toString());
    if (typeof value !== 'object' || value === null) return {};
    return Object.fromEntries(Object.entries(value).filter((entry): entry is [string, string] => typeof entry[1] === 'string'));
  } catch {
    return {};
  }
}
