import { createReadStream } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pipeline } from 'node:stream/promises';
import { DynamoError } from '../error.ts';
import type { Logger } from '../log.ts';

/** Largest request body, in bytes (observed in 1.6.1). */
const longestBody = 2 * 1024 * 1024;

/** How long running answers may take when the server closes, in milliseconds. */
const closeMs = 1_000;

export const plain = 'text/plain; charset=utf-8';

/** An answer. Without a type it has no body; `allow` names what a path may be asked. */
export interface Reply {
  readonly status: number;
  readonly type?: string;
  readonly allow?: string;
  readonly body?: string;
  /** A file in place of a body. */
  readonly file?: { readonly path: string; readonly bytes: number };
}

/** A text answer. */
export const text = (status: number, body: string): Reply => ({ status, type: plain, body });

/** A request as routes see it. */
export interface Asked {
  readonly method: string;
  /** As it stands in the request line, without the query: nothing is decoded or resolved. */
  readonly path: string;
  readonly contentType: string;
  /** Reads the body; a reply in its place when it is too long. */
  body(): Promise<Buffer | Reply>;
}

/** Serves HTTP on one port. `answer` never rejects. */
export async function serveHttp(
  options: { host: string; port: number; log: Logger },
  answer: (asked: Asked) => Promise<Reply>,
): Promise<{ readonly port: number } & AsyncDisposable> {
  const server = createServer((request, response) => {
    answer(askedBy(request))
      .then((reply) => send(response, reply, request.method === 'HEAD'))
      .catch((error: unknown) => {
        options.log.debug({ error: String(error) }, 'an answer of the status server did not get through');
        response.destroy();
      });
  });
  await listening(server, options);
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeIdleConnections();
      const timer = setTimeout(() => server.closeAllConnections(), closeMs);
      await closed;
      clearTimeout(timer);
    },
  };
}

async function listening(server: Server, { host, port }: { host: string; port: number }): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject);
  server.listen({ host, port }, resolve);
  try {
    await promise;
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new DynamoError('unavailable', `the status server can't listen on ${host}:${port}: ${why}`, { cause, data: { host, port } });
  }
  server.off('error', reject);
}

function askedBy(request: IncomingMessage): Asked {
  const target = request.url ?? '/';
  const path = target.split('?', 1)[0] ?? '/';
  return {
    method: request.method ?? 'GET',
    // A proxy names the host too.
    path: path.startsWith('/') ? path : `/${path.replace(/^\w+:\/\/[^/]*\/?/, '')}`,
    contentType: request.headers['content-type'] ?? '',
    body: () => readBody(request),
  };
}

async function readBody(request: IncomingMessage): Promise<Buffer | Reply> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > longestBody) return text(413, 'Failed to buffer the request body: length limit exceeded');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

async function send(response: ServerResponse, reply: Reply, headOnly: boolean): Promise<void> {
  const { type, allow, body = '', file } = reply;
  response.statusCode = reply.status;
  if (type !== undefined) response.setHeader('content-type', type);
  if (allow !== undefined) response.setHeader('allow', allow);
  response.setHeader('content-length', file?.bytes ?? Buffer.byteLength(body));
  // The real server does not announce that it keeps a connection: HTTP/1.1 means so.
  response.removeHeader('connection');
  if (file === undefined || headOnly || file.bytes === 0) response.end(headOnly || file !== undefined ? undefined : body);
  else await pipeline(createReadStream(file.path, { end: file.bytes - 1 }), response);
}
