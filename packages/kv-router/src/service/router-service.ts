import { type Client, type DistributedRuntime, DynamoError, type EndpointPath, type HandlerContext } from '@dynamo/runtime';
import { batchesOf, parseEndpointPath } from '@dynamo/runtime/internal';
import type { KvRouterOptions } from '../options.ts';
import type { TokenRequest } from '../request.ts';
import { KvRouting } from '../routing/kv-routing.ts';
import type { RoutedCall } from '../routing/route-request.ts';
import { RoutingStory } from '../routing/routing-data.ts';
import { object } from '../wire/members.ts';
import { overlapRequest, overlapsToWire } from '../wire/overlap-scores.ts';
import { decodeTokenRequest, encodeTokenRequest } from '../wire/preprocessed-request.ts';

/** A router that others ask. */
export interface RouterService extends AsyncDisposable {
  /** Endpoints that it serves. */
  readonly endpoints: readonly EndpointPath[];
}

/**
 * Serves a router for the workers of an endpoint, as the standalone service of the real system does (spec kv-router 20):
 * `generate` sends requests on, `best_worker_id` and `get_overlap_scores` answer without sending.
 *
 * @throws DynamoError `invalid_argument` for an option out of range.
 */
export async function serveRouter(
  runtime: DistributedRuntime,
  workers: EndpointPath,
  options: KvRouterOptions & { readonly namespace?: string },
): Promise<RouterService> {
  await using stack = new AsyncDisposableStack();
  const name = parseEndpointPath(workers);
  const routing = stack.use(await KvRouting.open(runtime, name, options));
  const client = stack.use(
    runtime.openClient<TokenRequest, unknown>(workers, { policy: routing.policy, policyDecides: true, encodeRequest: encodeTokenRequest }),
  );
  await routing.ready();
  const handlers = {
    generate: (request: unknown, context: HandlerContext) => generate(client, request, context),
    best_worker_id: (request: unknown) => bestWorker(routing, request),
    get_overlap_scores: (request: unknown) => overlapScores(routing, request),
  };
  const endpoints: EndpointPath[] = [];
  for (const [verb, handler] of Object.entries(handlers)) {
    const path: EndpointPath = `${options.namespace ?? name.namespace}.router.${verb}`;
    stack.use(await runtime.serve<unknown, unknown>(path, handler, { labels: { service: 'router' } }));
    endpoints.push(path);
  }
  const kept = stack.move();
  return { endpoints, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

/** Sends a request to the worker that has most of it; what comes back is passed on as it is. */
async function* generate(client: Client<TokenRequest, unknown>, request: unknown, context: HandlerContext): AsyncGenerator<unknown> {
  const wire = object(request);
  if (wire === undefined || Array.isArray(request)) throw new DynamoError('invalid_argument', 'a request must be a map');
  // Who names no rank among the hints may still name one beside them.
  const { dp_rank: dpRank, routing } = wire;
  const legacy = (routing === null || routing === undefined) && dpRank !== null && dpRank !== undefined;
  const asked = decodeTokenRequest({ model: 'unknown', ...wire, ...(legacy ? { routing: { dp_rank: dpRank } } : {}) });
  const story = new RoutingStory();
  const call: RoutedCall = { context, routed: (route) => story.routed(route) };
  for await (const batch of batchesOf(client.generate(asked, call))) {
    for (const item of batch) {
      const chunk = object(item);
      const data = chunk === undefined ? undefined : story.of({ finished: typeof (chunk['finish_reason'] ?? undefined) !== 'undefined' });
      yield data === undefined ? item : { ...chunk, routing_data: data };
    }
  }
}

/** The worker that a prompt would go to; the request is the bare list of its tokens. */
async function* bestWorker(routing: KvRouting, request: unknown): AsyncGenerator<unknown> {
  if (!Array.isArray(request)) throw new DynamoError('invalid_argument', "TypeError: argument 'token_ids': not a sequence of token ids");
  yield (await routing.place({ model: 'unknown', tokenIds: request as number[] }, {})).workerId;
}

/** How much of a prompt each rank holds, tier by tier. */
async function* overlapScores(routing: KvRouting, request: unknown): AsyncGenerator<unknown> {
  const { ranks, blocks } = routing.overlapScores(overlapRequest(request));
  yield overlapsToWire(ranks, { blockSize: routing.options.blockSize, blocks });
}
