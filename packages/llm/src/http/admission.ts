import type { FastifyInstance, FastifyRequest } from 'fastify';
import { failure } from './errors.ts';
import { type GateLimits, type Place, RequestGate } from './gate.ts';
import { refusal } from './refusal.ts';
import { factsOf } from './response-facts.ts';
import type { RunningAnswers } from './running.ts';

/** Paths that steer the frontend in place of asking a model. */
const adminPaths: ReadonlySet<string> = new Set(['/busy_threshold']);

/** The path of a request's route, without parameters of the query. */
const pathOf = (request: FastifyRequest): string => request.url.split('?', 1)[0] ?? '';

/** Whether a request asks a model: it is counted, it may wait for a place, and a drain refuses it. */
const asksModel = (request: FastifyRequest): boolean => request.method === 'POST' && !adminPaths.has(pathOf(request));

/** Counts what asks a model, and refuses it during a drain in the words of the real frontend. */
export function countAnswers(server: FastifyInstance, running: RunningAnswers): void {
  server.addHook('onRequest', (request, reply, done) => {
    if (!asksModel(request)) return done();
    if (!running.draining) {
      running.add(reply.raw);
      return done();
    }
    // The connection ends, so that the client's next try looks for another frontend.
    const headers = { 'retry-after': '1', ...(request.raw.httpVersionMajor === 1 ? { connection: 'close' } : {}) };
    done(refusal('unavailable', { ...failure(503, 'Service is not ready'), headers }));
  });
}

/** Lets only so many requests be answered at once: each takes its place once its body has been read. */
export function limitAnswers(server: FastifyInstance, limits: GateLimits): RequestGate {
  const gate = new RequestGate(limits);
  server.addHook('preHandler', (request, reply, done) => {
    if (!asksModel(request)) return done();
    let settled = false;
    const settle = (error?: Error): void => {
      if (settled) return;
      settled = true;
      cutting?.[Symbol.dispose]();
      done(error);
    };
    const place: Place = gate.enter((error) => queueMicrotask(() => settle(error)));
    const cutting = factsOf(reply.raw)?.onCut((error) => queueMicrotask(() => settle(error)));
    if (reply.raw.closed) return place[Symbol.dispose]();
    reply.raw.once('close', () => place[Symbol.dispose]());
  });
  return gate;
}
