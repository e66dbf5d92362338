import type { FastifyInstance } from 'fastify';
import { sendJson } from '../send.ts';
import type { RouteParts } from './parts.ts';

/** What the running 1.6.1 says from the first signal on. */
const draining = '{"status":"not_ready","stage":"draining","message":"Service is not ready"}';

/** `GET /health` and `GET /live` (spec llm 3.1). */
export function healthRoutes(server: FastifyInstance, parts: RouteParts): void {
  const { health, live } = parts.http.paths;
  server.get(health, (_request, reply) => (parts.running.draining ? sendJson(reply.code(503), draining) : sendJson(reply, parts.health())));
  server.get(live, (_request, reply) => sendJson(reply, '{"status":"live","message":"Service is live"}'));
}
