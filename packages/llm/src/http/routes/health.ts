import type { FastifyInstance } from 'fastify';
import type { RouteParts } from './parts.ts';

/** `GET /health` and `GET /live` (spec llm 3.1). */
export function healthRoutes(server: FastifyInstance, parts: RouteParts): void {
  server.get('/health', (_request, reply) => reply.type('application/json').send(parts.health()));
  server.get('/live', (_request, reply) => reply.type('application/json').send('{"status":"live","message":"Service is live"}'));
}
