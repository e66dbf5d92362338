import type { AddressInfo } from 'node:net';
import { DynamoError } from '@dynamo/runtime';
import { fastify, type FastifyInstance } from 'fastify';
import type { Logger } from '@dynamo/runtime';
import { failure, failureOf } from './errors.ts';
import { send } from './send.ts';
import type { RouteParts } from './routes/parts.ts';
import { chatRoute } from './routes/chat.ts';
import { completionsRoute } from './routes/completions.ts';
import { healthRoutes } from './routes/health.ts';
import { metricsRoute } from './routes/metrics.ts';
import { modelsRoutes } from './routes/models.ts';

/** Where and how the HTTP server listens. */
export interface ServerOptions {
  readonly host: string;
  readonly port: number;
  /** Largest request body in MiB (spec llm 3.2). */
  readonly bodyLimitMb: number;
  /** How long closing waits for running answers, in milliseconds. */
  readonly drainMs: number;
}

/** A server that listens. Closing refuses new connections and waits for running answers. */
export interface HttpServer extends AsyncDisposable {
  /** `http://host:port`. */
  readonly address: string;
}

/** Opens the OpenAI-style HTTP server (spec llm 3). */
export async function openHttpServer(parts: RouteParts, options: ServerOptions): Promise<HttpServer> {
  const server = fastify({ logger: false, bodyLimit: options.bodyLimitMb * 1024 * 1024, forceCloseConnections: 'idle', return503OnClosing: false });
  server.removeAllContentTypeParsers();
  // Bodies stay text: the reader of each route tells line and column of what is wrong.
  server.addContentTypeParser('application/json', { parseAs: 'string' }, (_request, body, done) => done(null, body));
  for (const add of [chatRoute, completionsRoute, healthRoutes, modelsRoutes, metricsRoute]) add(server, parts);
  refuseTheRest(server, { log: parts.log, bodyLimitMb: options.bodyLimitMb });
  await listen(server, options);
  const { address, port } = server.server.address() as AddressInfo;
  const host = address.includes(':') ? `[${address}]` : address;
  return { address: `http://${host}:${port}`, [Symbol.asyncDispose]: () => close(server, options.drainMs) };
}

async function listen(server: FastifyInstance, { host, port }: ServerOptions): Promise<void> {
  try {
    await server.listen({ host, port });
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    const why = code === 'EADDRINUSE' ? 'is in use' : code === 'EACCES' ? 'may not be opened by this user' : `can't be opened (${code})`;
    throw new DynamoError('invalid_argument', `port ${port} on ${host} ${why}`, { cause, data: { host, port } });
  }
}

async function close(server: FastifyInstance, drainMs: number): Promise<void> {
  const closing = server.close();
  // A connection that was busy when closing began stays open behind its answer, until its keep-alive ends.
  const idle = setInterval(() => server.server.closeIdleConnections(), 50);
  const timer = setTimeout(() => server.server.closeAllConnections(), drainMs);
  await closing;
  clearInterval(idle);
  clearTimeout(timer);
}

/** Answers what no route takes: unknown paths, wrong methods, bodies that are too large or no JSON. */
function refuseTheRest(server: FastifyInstance, options: { log: Logger; bodyLimitMb: number }): void {
  server.setNotFoundHandler((request, reply) => {
    const [path = ''] = request.url.split('?');
    const allowed = (['GET', 'POST'] as const).filter((method) => takes(server, method, path));
    if (allowed.length > 0)
      return reply
        .code(405)
        .header('allow', allowed.flatMap((method) => (method === 'GET' ? ['GET', 'HEAD'] : [method])).join(','))
        .send();
    return send(reply, failure(404, `Route not found: ${request.method} ${path}`));
  });
  server.setErrorHandler((error: { code?: string; statusCode?: number }, request, reply) => {
    if (error.code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE') return send(reply, failure(415, 'Expected request with Content-Type application/json'));
    if (error.code === 'FST_ERR_CTP_BODY_TOO_LARGE')
      return send(reply, failure(413, `Request body exceeds the limit of ${options.bodyLimitMb} MB set by DYN_HTTP_BODY_LIMIT_MB`));
    if (error.statusCode === 400) return send(reply, failure(400, 'Invalid request'));
    options.log.error({ url: request.url, error: String(error) }, 'a route failed');
    return send(reply, failureOf(error, { first: false }));
  });
}

/** Whether a path is a route's. `findRoute` knows patterns, not paths, and the model routes have a parameter. */
const takes = (server: FastifyInstance, method: 'GET' | 'POST', path: string): boolean =>
  server.findRoute({ method, url: path }) !== null || (method === 'GET' && path.startsWith('/v1/models/'));
