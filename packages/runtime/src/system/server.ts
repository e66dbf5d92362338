import type { Logger } from '../log.ts';

/** What the status server shows. */
export class StatusBoard {
  ready: boolean;
  readonly #started = process.hrtime.bigint();
  readonly #endpoints = new Map<string, boolean>();
  readonly #routes = new Map<string, (body: unknown) => Promise<unknown>>();

  constructor(ready: boolean) {
    this.ready = ready;
  }

  /** Shows an endpoint as ready or not; undefined takes it off. */
  set(endpoint: string, ready: boolean | undefined): void {
    if (ready === undefined) this.#endpoints.delete(endpoint);
    else this.#endpoints.set(endpoint, ready);
  }

  route(name: string, handler: (body: unknown) => Promise<unknown>): Disposable {
    this.#routes.set(name, handler);
    return { [Symbol.dispose]: () => void this.#routes.delete(name) };
  }

  find(name: string): ((body: unknown) => Promise<unknown>) | undefined {
    return this.#routes.get(name);
  }

  /** Body of /health and /live, in the real system's form (spec runtime-wire 14). */
  health(): string {
    const nanos = process.hrtime.bigint() - this.#started;
    const endpoints = Object.fromEntries([...this.#endpoints].map(([name, ready]) => [name, ready ? 'ready' : 'notready']));
    const uptime = { secs: Number(nanos / 1_000_000_000n), nanos: Number(nanos % 1_000_000_000n) };
    return JSON.stringify({ status: this.ready ? 'ready' : 'notready', uptime, endpoints });
  }
}

const plain = 'text/plain; charset=utf-8';

/** Opens the status server of spec runtime-wire 14. */
export async function openStatusServer(
  board: StatusBoard,
  options: { host: string; port: number; log: Logger; metrics: () => Promise<string> },
): Promise<AsyncDisposable> {
  const { fastify } = await import('fastify');
  const server = fastify({ logger: false, forceCloseConnections: true });
  server.removeAllContentTypeParsers();
  server.addContentTypeParser('*', { parseAs: 'string' }, (_request, body, done) => done(null, body));
  for (const path of ['/health', '/live']) {
    server.get(path, (_request, reply) =>
      reply
        .code(board.ready ? 200 : 503)
        .type(plain)
        .send(board.health()),
    );
  }
  // Without a version, unlike other exporters (spec metrics 4).
  server.get('/metrics', async (_request, reply) => {
    reply.type(plain);
    try {
      return await reply.send(await options.metrics());
    } catch (error) {
      options.log.error({ error: String(error) }, 'a scrape failed');
      return reply.code(500).send(String(error));
    }
  });
  server.get('/metadata', (_request, reply) => reply.code(404).type(plain).send('Discovery metadata not available'));
  server.all<{ Params: { '*': string } }>('/engine/*', async (request, reply) => {
    const name = request.params['*'];
    const handler = board.find(name);
    reply.type(plain);
    if (handler === undefined) return reply.code(404).send(JSON.stringify({ error: 'Route not found', message: `Route /engine/${name} not found` }));
    let body: unknown = {};
    try {
      if (typeof request.body === 'string' && request.body !== '') body = JSON.parse(request.body);
    } catch (error) {
      return reply.code(400).send(JSON.stringify({ error: 'Invalid JSON', message: String(error) }));
    }
    try {
      return await reply.send(JSON.stringify(await handler(body)));
    } catch (error) {
      return reply.code(500).send(JSON.stringify({ error: 'Handler error', message: String(error) }));
    }
  });
  server.setNotFoundHandler((_request, reply) => reply.code(404).type(plain).send('Route not found'));
  const address = await server.listen({ host: options.host, port: options.port });
  options.log.info({ address }, 'status server listens');
  return { [Symbol.asyncDispose]: () => server.close() };
}
