import { randomUUID } from 'node:crypto';
import { type CallOptions, DynamoError, type InstanceId } from '@dynamo/runtime';
import { sessionName } from '@dynamo/runtime/internal';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { AnyModel, ServingModel, Surface } from '../frontend/serving-model.ts';
import type { TokenRequest } from '@dynamo/kv-router';
import type { NvExt } from '../openai/nvext.ts';
import type { Asking } from './asking.ts';
import { withRoutingHeaders } from './routing-headers.ts';
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
function metadataOf(request: Asking['request']): Record<string, string> | undefined {
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

/** What the call to a worker takes from the HTTP request: its id, its metadata and its trace. */
export function callOf({ request, id, headers, call }: Pick<Asking, 'request' | 'id' | 'headers' | 'call'>): CallOptions {
  const metadata = metadataOf(request);
  const session = sessionName(request.headers);
  return {
    id,
    headers,
    ...(session === undefined ? {} : { session }),
    ...(metadata === undefined ? {} : { metadata }),
    ...call,
  };
}

/** The answer's extra members that a request names, or that one of its annotations brings with it (observed in 1.6.1). */
export function wantedFields({ nvext }: { nvext?: NvExt | null }): readonly string[] {
  const fields = nvext?.extra_fields ?? [];
  const asksInstance = nvext?.annotations?.some((name) => name.startsWith('query_instance_id:')) === true;
  return asksInstance ? [...fields, 'worker_id'] : fields;
}

/** A request with the routing that its headers ask for; without `nvext` where that is switched off. */
export function withHints<T extends { nvext?: NvExt | null }>(asked: T, { request, parts }: Pick<Asking, 'request' | 'parts'>): T {
  return parts.http.nvext ? withRoutingHeaders(asked, request.headers) : { ...asked, nvext: null };
}

/** Most tokens of all answers to one prompt, as the client limits them. */
export const answerTokens = (each: number | null | undefined, answers: number | null | undefined): number | undefined =>
  each === null || each === undefined ? undefined : each * (answers ?? 1);

/** Looks a model up, or tells why it can't answer. */
export function modelFor(parts: RouteParts, name: string, surface: Surface): AnyModel {
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
  const asked = request.routing?.['decode_worker_id'] ?? request.routing?.['backend_instance_id'];
  if (typeof asked !== 'number' && typeof asked !== 'bigint') {
    if (request.routing?.['dp_rank'] !== undefined && !model.choosesRanks)
      throw new DynamoError('invalid_argument', 'a dp_rank needs the worker that it belongs to: nvext.backend_instance_id');
    return undefined;
  }
  const id = BigInt(asked);
  if (model.isOverloaded(id)) throw new DynamoError('resource_exhausted', `instance ${id} is over its busy thresholds`, { data: { instance: id } });
  if (model.client.instances.some((instance) => instance.id === id)) return id;
  throw new DynamoError('invalid_argument', `no instance ${id} serves model '${model.name}'`, { data: { instance: id } });
}

/**
 * Token ids that a client gives itself.
 *
 * @throws DynamoError `invalid_argument` for one that the model's vocabulary does not have (observed in 1.6.1).
 */
export function knownTokens(ids: readonly number[], { vocabularySize: size }: ServingModel): readonly number[] {
  const unknown = ids.find((id) => id >= size);
  if (unknown === undefined) return ids;
  throw new DynamoError('invalid_argument', `token id ${unknown} is outside the model's vocabulary of ${size}`, {
    data: { tokenId: unknown, vocabulary: size },
  });
}

/**
 * Whether a client asks, by the header `x-dynamo-stream-tool-arguments: true`, for the arguments of calls as they come.
 *
 * A header and no member of `nvext`: 1.6.1 refuses members there that it does not know, and takes any header.
 */
export const asksForPieces = (headers: Asking['request']['headers']): boolean => headers['x-dynamo-stream-tool-arguments'] === 'true';

/** Gives the client's own request id back (spec llm 3.3). */
export function echoRequestId(request: FastifyRequest, reply: FastifyReply): void {
  const asked = request.headers['x-request-id'];
  if (typeof asked === 'string') reply.header('x-request-id', asked);
}
