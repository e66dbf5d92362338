import type { Socket } from 'node:net';
import type { Logger } from '../../../log.ts';
import { FrameBuffer } from '../../../net/frame-buffer.ts';
import { listen, type Listener } from '../../../net/listen.ts';
import { encodeAck, spanRequestFrame } from '../../../wire/request-frame.ts';

/** One request as it came off the wire. */
export interface IncomingRequest {
  readonly headers: Readonly<Record<string, string>>;
  /** A two-part message; a copy, which may be kept. */
  readonly payload: Buffer;
}

/** Takes a request at once, or says why not: the text goes back as the refusal. */
export type Accept = (request: IncomingRequest) => string | undefined;

/** Where requests arrive: one server a runtime, one path an endpoint. */
export interface RequestListener extends Listener {
  /** Accepts requests for a path; disposing refuses them from then on. */
  handle(path: string, accept: Accept): Disposable;
}

/** How long a frame may stay incomplete, in milliseconds: a peer that sends half of one and hangs is let go. */
const halfFrameMs = 30_000;

/** Opens the request plane's receiving side. */
export async function listenForRequests(options: { host: string; port: number; maxFrameBytes: number; log: Logger }): Promise<RequestListener> {
  const handlers = new Map<string, Accept>();
  const listener = await listen({ ...options, accept: (socket) => serve(socket, { handlers, ...options }) });
  return {
    address: listener.address,
    handle(path, accept) {
      handlers.set(path, accept);
      return { [Symbol.dispose]: () => void handlers.delete(path) };
    },
    [Symbol.asyncDispose]: () => listener[Symbol.asyncDispose](),
  };
}

function serve(socket: Socket, options: { handlers: ReadonlyMap<string, Accept>; maxFrameBytes: number; log: Logger }): void {
  const frames = new FrameBuffer();
  let half: NodeJS.Timeout | undefined;
  socket.on('error', () => {}); // 'close' follows; a caller that goes takes nothing with it here.
  socket.once('close', () => clearTimeout(half));
  socket.on('data', (chunk: Buffer) => {
    clearTimeout(half);
    const bytes = frames.add(chunk);
    let at = 0;
    try {
      for (
        let span = spanRequestFrame(bytes, at, options.maxFrameBytes);
        span !== undefined;
        span = spanRequestFrame(bytes, at, options.maxFrameBytes)
      ) {
        const text = accept(options.handlers, span);
        socket.write(encodeAck(text ?? ''));
        at = span.end;
      }
    } catch (error) {
      options.log.warn({ error: String(error), peer: socket.remoteAddress }, 'closed a request connection');
      socket.end(encodeAck(`Read error: ${error instanceof Error ? error.message : String(error)}`));
      return;
    }
    frames.keep(bytes, at);
    if (frames.pending) half = setTimeout(() => socket.destroy(), halfFrameMs).unref();
  });
}

function accept(handlers: ReadonlyMap<string, Accept>, span: { path: Buffer; headers: Buffer; payload: Buffer }): string | undefined {
  const path = span.path.toString();
  if (path.includes('\uFFFD')) return 'Invalid endpoint path';
  const handler = handlers.get(path);
  if (handler === undefined) return `Server unavailable: unknown endpoint ${path}`;
  return handler({ headers: readHeaders(span.headers), payload: Buffer.from(span.payload) });
}

/** None of the headers is needed to answer, so what can't be read is left out. */
function readHeaders(bytes: Buffer): Record<string, string> {
  if (bytes.length === 0) return {};
  try {
    const value: unknown = JSON.parse(bytes.toString());
    return typeof value === 'object' && value !== null ? (value as Record<string, string>) : {};
  } catch {
    return {};
  }
}
