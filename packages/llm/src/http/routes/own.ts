import { DynamoError } from '@dynamo/runtime';
import type { FastifyInstance } from 'fastify';
import { send, sendJson } from '../send.ts';
import { failure } from '../errors.ts';
import type { RouteParts } from './parts.ts';

/** A route that the program adds to its frontend. */
export interface OwnRoute {
  /** A plain path, such as `/version`. */
  readonly path: string;
  readonly method?: 'GET' | 'POST';
  /** Gives a value, which is sent as JSON with status 200, or a status with its body. */
  readonly answer: (asked: OwnRequest) => unknown;
}

/** What a route of the program is asked, and what it may know of the frontend. */
export interface OwnRequest {
  readonly query: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  /** Body of a POST as text. */
  readonly body: string;
  /** Whether the frontend shuts down. */
  readonly draining: boolean;
  /** Names of the models that can be asked for now. */
  readonly models: readonly string[];
}

/**
 * Adds the program's own routes, behind the same checks of keys as all others; those that fail are told as failures of ours.
 *
 * @throws DynamoError `invalid_argument` for a path that is not plain, or that another route has.
 */
export function addOwnRoutes(server: FastifyInstance, parts: RouteParts, routes: readonly OwnRoute[]): void {
  for (const { path, method = 'GET', answer } of routes) {
    // The words of 1.6.1 for a path with parameters (spec llm 9).
    if (!/^\/[^?#*:{}\s]*$/.test(path)) throw invalid(`routes: the path '${path}' must begin with a slash and have no parameters`);
    if (server.hasRoute({ method, url: path })) throw invalid(`routes: ${method} ${path} is a route of the frontend already`);
    server.route({
      method,
      url: path,
      handler: async (request, reply) => {
        const asked: OwnRequest = {
          query: request.query as OwnRequest['query'],
          headers: request.headers,
          body: typeof request.body === 'string' ? request.body : '',
          draining: parts.running.draining,
          models: parts.models.list().map(({ id }) => id),
        };
        try {
          const said = await answer(asked);
          const { status, body } = isWhole(said) ? said : { status: 200, body: said };
          return sendJson(reply.code(status), JSON.stringify(body ?? null));
        } catch (error) {
          if (DynamoError.is(error)) throw error;
          parts.log.error({ path, error: String(error) }, "a route of the program's own failed");
          return send(reply, failure(500, 'Internal server error'));
        }
      },
    });
  }
}

const invalid = (message: string): DynamoError => new DynamoError('invalid_argument', message);

/** Whether a route has said the status beside the body, and nothing else. */
const isWhole = (said: unknown): said is { status: number; body: unknown } =>
  typeof said === 'object' &&
  said !== null &&
  Object.keys(said).length === 2 &&
  'body' in said &&
  'status' in said &&
  Number.isInteger(said.status) &&
  Number(said.status) >= 200 &&
  Number(said.status) < 600;
