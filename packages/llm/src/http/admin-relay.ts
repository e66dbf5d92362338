import { randomUUID } from 'node:crypto';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { Siblings } from '../frontend/siblings.ts';
import { isAdmin } from './admission.ts';

const header = 'x-dynamo-relayed';

/** Makes what an admin route changes in one process happen in all: an answered change is told to the others, which make it, too. */
export class AdminRelay {
  readonly #siblings: Siblings;
  /** Marks what comes from a sibling: nobody outside can know it. */
  readonly #mark = randomUUID();

  constructor(siblings: Siblings) {
    this.#siblings = siblings;
  }

  /** Whether a request is a change that another process has let in. */
  isRelayed(request: FastifyRequest): boolean {
    return request.headers[header] === this.#mark;
  }

  /** Connects a server; disposing stops it listening. */
  connect(server: FastifyInstance, onError: (error: unknown) => void): Disposable {
    server.addHook('onResponse', (request, reply, done) => {
      if (request.method === 'POST' && isAdmin(request) && reply.statusCode === 200 && !this.isRelayed(request))
        this.#siblings.send({ type: 'admin', url: request.url, body: typeof request.body === 'string' ? request.body : '' });
      done();
    });
    return this.#siblings.onMessage((message) => {
      if (message.type !== 'admin') return;
      const headers = { 'content-type': 'application/json', [header]: this.#mark };
      server.inject({ method: 'POST', url: message.url, payload: message.body, headers }).catch(onError);
    });
  }
}
