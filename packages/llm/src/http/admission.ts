import type { FastifyInstance, FastifyRequest } from 'fastify';
import { failure } from './errors.ts';
import { type GateLimits, type Place, RequestGate } from './gate.ts';
import { refusal } from './refusal.ts';
import { factsOf, isGone } from './response-facts.ts';
import { upgradeOf } from './realtime/upgrade.ts';
import type { RunningAnswers } from './running.ts';

/** Routes that steer the frontend in place of asking a model. */
const adminRoutes: ReadonlySet<string> = new Set(['/busy_threshold']);

/** The route that takes a request, whatever spelling of its path the client chose; undefined where none does. */
export const routeOf = (request: FastifyRequest): string | undefined => request.routeOptions.url;

/** Whether a request would steer the frontend. */
export const isAdmin = (request: FastifyRequest): boolean => adminRoutes.has(routeOf(request) ?? '');

/** Whether a request asks a model: it is counted, it may wait for a place, and a drain refuses it. */
export const asksModel = (request: FastifyRequest): boolean =>
  upgradeOf(request.raw) !== undefined || (request.method === 'POST' && routeOf(request) !== undefined && !isAdmin(request));

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
    if (isGone(reply.raw)) return place[Symbol.dispose]();
    reply.raw.once('close', () => place[Symbol.dispose]());
  });
  return gate;
}
