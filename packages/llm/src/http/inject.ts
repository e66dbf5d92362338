import type { FastifyInstance } from 'fastify';
import type { InjectRequest, InjectResponse } from '../frontend/calls.ts';

/** Answers a request without a socket: fastify runs the same hooks and routes over streams of its own. */
export async function injected(server: FastifyInstance, { method = 'GET', path, headers = {}, body }: InjectRequest): Promise<InjectResponse> {
  const payload =
    body === undefined ? undefined : typeof body === 'string' ? body : body instanceof Uint8Array ? Buffer.from(body) : JSON.stringify(body);
  const isJson = typeof body === 'object' && !(body instanceof Uint8Array);
  const response = await server.inject({
    method,
    url: path,
    headers: { ...(isJson ? { 'content-type': 'application/json' } : {}), ...headers },
    ...(payload === undefined ? {} : { payload }),
  });
  const told: Record<string, string | readonly string[] | undefined> = {};
  for (const [name, value] of Object.entries(response.headers)) told[name] = typeof value === 'number' ? String(value) : value;
  return { status: response.statusCode, headers: told, body: response.body };
}
