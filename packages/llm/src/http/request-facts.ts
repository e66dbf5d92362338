import { randomUUID } from 'node:crypto';
import { DynamoError, type InstanceId } from '@dynamo/runtime';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { ServingModel, Surface } from '../frontend/serving-model.ts';
import type { TokenRequest } from '@dynamo/kv-router';
import type { RouteParts } from './routes/parts.ts';

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** The id of a request: that of the header `x-dynamo-request-id`, else a fresh one (spec llm 3.3). */
export function requestId(request: FastifyRequest): string {
  const asked = request.headers['x-dynamo-request-id'];
  return typeof asked === 'string' && uuid.test(asked) ? asked : randomUUID();
}

/** Most metadata that clients may attach, in members and bytes (spec llm 2.1). */
const metadataLimits = { members: 64, bytes: 64 * 1024 };
const metadataPrefix = 'x-dynamo-meta-';

/** What the headers `x-dynamo-meta-*` say, for the worker's context. */
export function metadataOf(request: FastifyRequest): Record<string, string> | undefined {
  let metadata: Record<string, string> | undefined;
  let members = 0;
  let bytes = 0;
  for (const name in request.headers) {
    if (!name.startsWith(metadataPrefix)) continue;
    const value = String(request.headers[name]);
    bytes += name.length - metadataPrefix.length + value.length;
    if (++members > metadataLimits.members || bytes > metadataLimits.bytes) {
      const message = `x-dynamo-meta-* headers pass the limit of ${metadataLimits.members} members or ${metadataLimits.bytes} bytes`;
      throw new DynamoError('invalid_argument', message, { data: { public: { type: 'message', message } } });
    }
    (metadata ??= Object.create(null) as Record<string, string>)[name.slice(metadataPrefix.length)] = value;
  }
  return metadata;
}

/** Looks a model up, or tells why it can't answer. */
export function modelFor(parts: RouteParts, name: string, surface: Surface): ServingModel {
  const found = parts.models.find(name, surface);
  if (found === undefined) throw visible('not_found', 'Model not found');
  if (found === 'not-ready') throw notReady(name);
  return found;
}

const visible = (code: 'not_found' | 'unavailable', message: string): DynamoError =>
  new DynamoError(code, message, { data: { public: { type: 'message', message } } });

const notReady = (name: string): DynamoError =>
  visible(
    'unavailable',
    `Model \`${name}\` is not ready to serve requests yet. The deployment may still be starting up or is not fully provisioned. Please retry shortly.`,
  );

/** A call that found no routable worker: the model is known and all its workers are kept out for the moment (spec llm 0.5). */
export const named = (error: unknown, model: string): unknown =>
  DynamoError.is(error, 'unavailable') && error.data['endpoint'] !== undefined ? notReady(model) : error;

/**
 * The instance that a request is pinned to by its hints, if any (spec llm 2.1).
 *
 * @throws DynamoError `invalid_argument` for an instance that nobody knows.
 */
export function pinnedInstance(request: Omit<TokenRequest, 'tokenIds'>, model: ServingModel): InstanceId | undefined {
  const asked = request.routing?.['backend_instance_id'] ?? request.routing?.['decode_worker_id'];
  if (typeof asked !== 'number' && typeof asked !== 'bigint') return undefined;
  const id = BigInt(asked);
  if (model.client.instances.some((instance) => instance.id === id)) return id;
  throw new DynamoError('invalid_argument', `no instance ${id} serves model '${model.name}'`, { data: { instance: id } });
}

/** Gives the client's own request id back (spec llm 3.3). */
export function echoRequestId(request: FastifyRequest, reply: FastifyReply): void {
  const asked = request.headers['x-request-id'];
  if (typeof asked === 'string') reply.header('x-request-id', asked);
}
