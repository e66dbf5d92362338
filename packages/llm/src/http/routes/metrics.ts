import type { FastifyInstance } from 'fastify';
import type { RouteParts } from './parts.ts';

/** `GET /metrics`: Prometheus text format 0.0.4. */
export function metricsRoute(server: FastifyInstance, parts: RouteParts): void {
  server.get(parts.http.paths.metrics, async (_request, reply) => reply.type('text/plain; version=0.0.4; charset=utf-8').send(await parts.scrape()));
}
