import type { AddressInfo } from 'node:net';
import { DynamoError, type Logger } from '@dynamo/runtime';
import { encodeJsonText, errorTable } from '@dynamo/runtime/internal';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { BodyFault, readBody, type Shape } from '../wire/body-shape.ts';

/** What a route answers: JSON, other text, or nothing. */
export interface Answer {
  readonly status: number;
  readonly json?: unknown;
  readonly text?: { readonly type: string; readonly body: string };
}

/** One request: what its path and query name, and its body if the route takes one. */
export interface Call<Body> {
  readonly body: Body;
  readonly params: Readonly<Record<string, string>>;
  readonly query: Readonly<Record<string, string>>;
  /** Aborts when whoever asked is gone. */
  readonly signal: AbortSignal;
}

/** A method and path, and what answers it. */
export interface Route {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  readonly path: string;
  readonly body: Shape<unknown> | undefined;
  readonly handle: (call: Call<unknown>) => Answer | Promise<Answer>;
}

/** A route that takes a body. */
export const taking = <B>(path: `${'POST' | 'PATCH'} ${string}`, body: Shape<B>, handle: (call: Call<B>) => Answer | Promise<Answer>): Route => ({
  ...partsOf(path),
  body,
  handle: handle as Route['handle'],
});

/** A route whose body, if there is one, does not matter. */
export const asking = (path: `${Route['method']} ${string}`, handle: (call: Call<undefined>) => Answer | Promise<Answer>): Route => ({
  ...partsOf(path),
  body: undefined,
  handle: handle as Route['handle'],
});

function partsOf(path: string): Pick<Route, 'method' | 'path'> {
  const [method, rest] = path.split(' ');
  return { method: method as Route['method'], path: rest ?? '/' };
}

/** The usual answer to a change. */
export const done = (status = 200): Answer => ({ status, json: { status: 'ok' } });

/** How a service answers, and where. */
export interface DoorOptions {
  readonly host: string;
  readonly port: number;
  readonly routes: readonly Route[];
  /** Whether the errors of the door itself are JSON too, as two of the three services of 1.6.1 have them. */
  readonly errors: 'json' | 'plain';
  /** Told of each answer of a known path. */
  readonly answered?: (fact: { readonly path: string; readonly method: string; readonly status: number; readonly seconds: number }) => void;
  readonly log: Logger;
}

/** A service that listens, at `http://host:port`. */
export interface Door extends AsyncDisposable {
  readonly address: string;
}

/** Largest body: a prompt of some millions of tokens. */
const bodyLimit = 64 * 1024 * 1024;

const methods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'] as const;

/** Opens the HTTP door of a service (spec kv-router 20). */
export async function openDoor(options: DoorOptions): Promise<Door> {
  const { fastify } = await import('fastify');
  const server = fastify({ logger: false, bodyLimit, forceCloseConnections: 'idle', exposeHeadRoutes: true });
  server.removeAllContentTypeParsers();
  server.addContentTypeParser('*', { parseAs: 'string' }, (_request, body, taken) => taken(null, body));
  for (const route of options.routes) add(server, route, options);
  for (const path of new Set(options.routes.map((route) => route.path))) refuseOtherMethods(server, path, options);
  server.setNotFoundHandler((_request, reply) => fault(reply.code(404), options, 'route not found'));
  server.setErrorHandler((error, _request, reply) => failed(reply, error, options));
  const { answered } = options;
  if (answered !== undefined)
    server.addHook('onResponse', async ({ method, routeOptions }, reply) => {
      if (routeOptions.url !== undefined) answered({ path: routeOptions.url, method, status: reply.statusCode, seconds: reply.elapsedTime / 1_000 });
    });
  await listen(server, options);
  const { address, port } = server.server.address() as AddressInfo;
  return { address: `http://${address.includes(':') ? `[${address}]` : address}:${port}`, [Symbol.asyncDispose]: () => server.close() };
}

function add(server: FastifyInstance, route: Route, options: DoorOptions): void {
  server.route({
    method: route.method,
    url: route.path,
    handler: async (request, reply) => {
      if (route.body !== undefined && !isJson(request))
        return fault(reply.code(415), options, 'Expected request with `Content-Type: application/json`');
      const stop = new AbortController();
      const gone = (): void => stop.abort(new DynamoError('cancelled', 'the client has closed its connection'));
      reply.raw.once('close', gone);
      const body: unknown = route.body === undefined ? undefined : readBody((request.body as string | undefined) ?? '', route.body);
      const params = request.params as Record<string, string>;
      return send(reply, await route.handle({ body, params, query: queryOf(request), signal: stop.signal }));
    },
  });
}

const isJson = ({ headers }: FastifyRequest): boolean => /^application\/([\w.-]+\+)?json\b/i.test(headers['content-type'] ?? '');

const queryOf = ({ query }: FastifyRequest): Record<string, string> =>
  Object.fromEntries(Object.entries(query as Record<string, unknown>).filter((entry): entry is [string, string] => typeof entry[1] === 'string'));

function refuseOtherMethods(server: FastifyInstance, path: string, options: DoorOptions): void {
  const known: string[] = options.routes.filter((route) => route.path === path).map(({ method }) => method);
  const allowed = known.includes('GET') ? [...known, 'HEAD'] : known;
  server.route({
    method: methods.filter((method) => !allowed.includes(method)),
    url: path,
    handler: (_request, reply) => fault(reply.code(405).header('allow', allowed.join(',')), options, 'method not allowed', true),
  });
}

async function listen(server: FastifyInstance, { host, port }: DoorOptions): Promise<void> {
  try {
    await server.listen({ host, port });
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    const why = code === 'EADDRINUSE' ? 'is in use' : `can't be opened (${code})`;
    throw new DynamoError('invalid_argument', `port ${port} on ${host} ${why}`, { cause, data: { host, port } });
  }
}

function send(reply: FastifyReply, answer: Answer): FastifyReply {
  void reply.code(answer.status);
  if (answer.text !== undefined) return reply.header('content-type', answer.text.type).send(Buffer.from(answer.text.body));
  if (answer.json === undefined) return reply.send();
  // As bytes: the server would name a charset behind the type of text.
  return reply.header('content-type', 'application/json').send(Buffer.from(encodeJsonText(answer.json)));
}

/** A refusal of the door itself; where errors are plain, those of routes and methods have no body. */
function fault(reply: FastifyReply, { errors }: DoorOptions, message: string, empty = message === 'route not found'): FastifyReply {
  const status = reply.statusCode;
  if (errors === 'json') return send(reply, { status, json: { error: message } });
  return send(reply, empty ? { status } : { status, text: { type: 'text/plain; charset=utf-8', body: message } });
}

function failed(reply: FastifyReply, error: unknown, options: DoorOptions): FastifyReply {
  if (error instanceof BodyFault) return fault(reply.code(error.kind === 'syntax' ? 400 : 422), options, error.message);
  if (DynamoError.is(error)) {
    const given = error.data['status'];
    return send(reply, { status: typeof given === 'number' ? given : errorTable[error.code].httpStatus, json: { error: error.message } });
  }
  const { statusCode } = error as { statusCode?: number };
  if (statusCode !== undefined && statusCode < 500) return fault(reply.code(statusCode), options, String((error as Error).message));
  options.log.error({ error: String(error) }, 'a request failed');
  return send(reply, { status: 500, json: { error: 'internal error' } });
}
