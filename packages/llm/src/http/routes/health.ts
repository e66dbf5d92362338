import type { FastifyInstance } from 'fastify';
import { sendJson } from '../send.ts';
import type { RouteParts } from './parts.ts';

/** `GET /health` and `GET /live` (spec llm 3.1). */
export function healthRoutes(server: FastifyInstance, parts: RouteParts): void {
  server.get('/health', (_request, reply) => sendJson(reply, parts.health()));
  server.get('/live', (_request, reply) => sendJson(reply, '{"status":"live","message":"Service is live"}'));
}
