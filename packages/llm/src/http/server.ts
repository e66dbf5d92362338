import type { SecureServerOptions } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { DynamoError } from '@dynamo/runtime';
import { fastify, type FastifyInstance } from 'fastify';
import { countAnswers, limitAnswers } from './admission.ts';
import { BodyReader, discard, readBodies } from './body.ts';
import { Connections } from './connections.ts';
import { type Failure, failure, failureOf, overloadedAs, unsupportedMedia } from './errors.ts';
import type { ShapeFailure } from './exchange.ts';
import { answerBrokenRequests } from './broken-requests.ts';
import type { InjectRequest, InjectResponse } from '../frontend/calls.ts';
import type { GateLimits } from './gate.ts';
import { injected } from './inject.ts';
import { send } from './send.ts';
import type { RunningAnswers } from './running.ts';
import type { RouteParts } from './routes/parts.ts';
import { busyThresholdRoutes } from './routes/busy-threshold.ts';
import { chatRoute } from './routes/chat.ts';
import { completionsRoute } from './routes/completions.ts';
import { docsRoutes } from './routes/docs.ts';
import { embeddingsRoute } from './routes/embeddings.ts';
import { healthRoutes } from './routes/health.ts';
import { notServedHere } from './routes/media.ts';
import { messagesRoutes } from './routes/messages.ts';
import { metricsRoute } from './routes/metrics.ts';
import { modelsRoutes } from './routes/models.ts';
import { poolingRoutes } from './routes/pooling.ts';
import { realtimeRoute } from './routes/realtime.ts';
import { rerankRoute } from './routes/rerank.ts';
import { responsesRoutes } from './routes/responses.ts';
import { addOwnRoutes, type OwnRoute } from './routes/own.ts';

/** Where and how the HTTP server listens. */
export interface ServerOptions {
  /** Whether it listens at all; else it only answers what is injected. */
  readonly listens: boolean;
  readonly host: string;
  readonly port: number;
  /** Listens beside other processes on the same port, among which the kernel shares connections out. */
  readonly reusePort: boolean;
  /** Certificate, key and authority of a server that speaks TLS. */
  readonly tls: SecureServerOptions | undefined;
  /** Largest request body in MiB (spec llm 3.2). */
  readonly bodyLimitMb: number;
  /** All bodies of running requests together, in MiB. */
  readonly bodiesLimitMb: number;
  /** How long a client may take to send a request, in milliseconds. */
  readonly requestMs: number;
  /** How many requests are answered at once; no limit when absent. */
  readonly gate: GateLimits | undefined;
  /** Routes of the program that the server is part of. */
  readonly ownRoutes: readonly OwnRoute[];
  /** How long closing waits for running answers, in milliseconds. */
  readonly drainMs: number;
}

/** How long the last words of a drain may take to reach their clients, in milliseconds. */
const farewellMs = 2_000;

/** Every route: a new one is a file and a name here. */
const routes = [
  chatRoute,
  completionsRoute,
  embeddingsRoute,
  poolingRoutes,
  rerankRoute,
  responsesRoutes,
  messagesRoutes,
  realtimeRoute,
  notServedHere,
  modelsRoutes,
  healthRoutes,
  metricsRoute,
  busyThresholdRoutes,
  docsRoutes,
] as const;

/** A server that listens. Closing refuses new requests, waits for running answers, and cuts what takes longer. */
export interface HttpServer extends AsyncDisposable {
  /** `http://host:port`; empty where it listens nowhere. */
  readonly address: string;
  /** Answers a request that came over no socket, by the same hooks and routes. */
  inject(request: InjectRequest): Promise<InjectResponse>;
}

const mib = 1024 * 1024;

/** Opens the OpenAI-style HTTP server (spec llm 3). */
export async function openHttpServer(parts: RouteParts, options: ServerOptions): Promise<HttpServer> {
  const server = makeServer(options);
  const connections = new Connections(server.server);
  server.removeAllContentTypeParsers();
  readBodies(server, new BodyReader({ one: options.bodyLimitMb * mib, all: options.bodiesLimitMb * mib, streamMs: options.requestMs }));
  countAnswers(server, parts.running);
  parts.access.guard(server);
  if (options.gate !== undefined) limitAnswers(server, options.gate);
  for (const add of routes) add(server, parts);
  addOwnRoutes(server, parts, options.ownRoutes);
  refuseTheRest(server, parts, options.bodyLimitMb * mib);
  const relaying = parts.access.relay?.connect(server, (error) =>
    parts.log.error({ error: String(error) }, 'a change of another process failed here'),
  );
  if (options.listens) await listen(server, options);
  else await server.ready();
  return {
    address: options.listens ? addressOf(server, options) : '',
    inject: (request) => injected(server, request),
    [Symbol.asyncDispose]: () => close({ server, connections, running: parts.running, relaying }, options),
  };
}

function addressOf(server: FastifyInstance, { tls }: ServerOptions): string {
  const { address, port } = server.server.address() as AddressInfo;
  const host = address.includes(':') ? `[${address}]` : address;
  return `${tls === undefined ? 'http' : 'https'}://${host}:${port}`;
}

/** With TLS the protocol is negotiated, HTTP/2 or 1.1; without it is HTTP/1.1. */
function makeServer({ bodyLimitMb, requestMs, tls }: ServerOptions): FastifyInstance {
  // Whoever is too slow is found within a second.
  const patience = { connectionsCheckingInterval: 1_000, requestTimeout: requestMs, headersTimeout: Math.min(requestMs, 60_000) };
  const common = {
    logger: false,
    bodyLimit: bodyLimitMb * mib,
    requestTimeout: requestMs,
    clientErrorHandler: answerBrokenRequests({ requestMs }),
    forceCloseConnections: 'idle' as const,
    return503OnClosing: false,
  };
  if (tls === undefined) return fastify({ ...common, http: patience });
  // The routes see one kind of server: what they use of requests and responses is the same in both.
  return fastify({
    ...common,
    http2: true,
    https: { ...tls, ...patience, allowHTTP1: true, handshakeTimeout: 10_000 },
  }) as unknown as FastifyInstance;
}

async function listen(server: FastifyInstance, { host, port, reusePort }: ServerOptions): Promise<void> {
  try {
    await server.listen({ host, port, ...(reusePort ? { reusePort } : {}) });
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    const why = code === 'EADDRINUSE' ? 'is in use' : code === 'EACCES' ? 'may not be opened by this user' : `can't be opened (${code})`;
    throw new DynamoError('invalid_argument', `port ${port} on ${host} ${why}`, { cause, data: { host, port } });
  }
}

/**
 * Ends a server. While answers run it keeps listening, so that whoever asks `/health` or a model hears of the drain; on a port
 * that others listen on, too, it stops listening at once, and they take what is new.
 */
async function close(
  {
    server,
    connections,
    running,
    relaying,
  }: { server: FastifyInstance; connections: Connections; running: RunningAnswers; relaying: Disposable | undefined },
  { drainMs, reusePort }: ServerOptions,
): Promise<void> {
  running.drain();
  relaying?.[Symbol.dispose]();
  if (reusePort) server.server.close();
  if (!(await running.idle(drainMs))) {
    running.cut(drainMs);
    await running.idle(farewellMs);
  }
  const closing = server.close();
  // A connection that was busy when closing began stays open behind its answer, until its keep-alive ends.
  const idle = setInterval(() => connections.closeIdle(), 50);
  const timer = setTimeout(() => connections.destroy(), farewellMs);
  await closing;
  clearInterval(idle);
  clearTimeout(timer);
}

/** Answers what no route takes: unknown paths, wrong methods, bodies that are too large or no JSON. */
function refuseTheRest(server: FastifyInstance, parts: RouteParts, bodyLimit: number): void {
  server.setNotFoundHandler((request, reply) => {
    if (!request.raw.complete) discard(request.raw, bodyLimit);
    const [path = ''] = request.url.split('?');
    const allowed = (['POST', 'GET'] as const).filter((method) => takes(server, method, { path, models: parts.http.paths.models }));
    if (allowed.length > 0)
      return reply
        .code(405)
        .header('allow', allowed.flatMap((method) => (method === 'GET' ? ['GET', 'HEAD'] : [method])).join(','))
        .send();
    return send(reply, failure(404, `Route not found: ${request.method} ${path}`));
  });
  server.setErrorHandler((error: { code?: string; statusCode?: number }, request, reply) => {
    // Refused before its body was read. The parser's own word on the connection is not one of HTTP/2.
    if (request.raw.httpVersionMajor > 1) void reply.removeHeader('connection');
    if (!request.raw.complete) discard(request.raw, bodyLimit);
    const { refusesInText, shaped = (told: Failure): Failure => told } = request.routeOptions.config as {
      refusesInText?: boolean;
      shaped?: ShapeFailure;
    };
    if (error.code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE')
      return send(reply, shaped(failureOf(unsupportedMedia(refusesInText === true), { first: false })));
    if (error.statusCode === 400) return send(reply, shaped(failure(400, 'Invalid request')));
    const told = DynamoError.is(error) ? failureOf(error, { first: false }) : undefined;
    const knob = DynamoError.is(error) ? error.data['knob'] : undefined;
    if (typeof knob === 'string') parts.metrics.refused(knob);
    if (told === undefined) parts.log.error({ url: request.url, error: String(error) }, 'a route failed');
    return send(reply, shaped(overloadedAs(told ?? failureOf(error, { first: false }), parts.overloadStatus)));
  });
}

/** Whether a path is a route's. `findRoute` knows patterns, not paths, and the model routes have a parameter. */
const takes = (server: FastifyInstance, method: 'GET' | 'POST', { path, models }: { path: string; models: string }): boolean =>
  server.findRoute({ method, url: path }) !== null || (method === 'GET' && path.startsWith(`${models}/`) && path.length > models.length + 1);
