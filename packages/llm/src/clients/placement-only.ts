import type { TokenRequest } from '@dynamo/kv-router';
import { decodedChunk } from '@dynamo/kv-router/internal';
import type { CallOptions, Client, InstanceId } from '@dynamo/runtime';
import { batchesOf, itemsOf } from '@dynamo/runtime/internal';

/** Where a request would go. */
export interface WouldGo {
  readonly workerId: InstanceId;
  readonly dpRank: number;
}

/** The annotation by which a client asks where its request would go. */
const query = 'query_instance_id:';

/**
 * Answers a request that only asks for its placement with one chunk that tells it, and its tokens; no worker hears of it
 * (spec kv-router 18).
 */
export function placementOnly(
  client: Client<TokenRequest, unknown>,
  place: (request: TokenRequest, call: CallOptions) => Promise<WouldGo>,
): Client<TokenRequest, unknown> {
  return {
    get instances() {
      return client.instances;
    },
    ready: (ready) => client.ready(ready),
    generate: (request, call = {}) =>
      request.annotations?.some((name) => name.startsWith(query)) === true
        ? itemsOf(() => told(request, place(request, call)))
        : itemsOf(() => batchesOf(client.generate(request, call))),
    [Symbol.asyncDispose]: () => client[Symbol.asyncDispose](),
  };
}

async function* told({ tokenIds }: TokenRequest, placed: Promise<WouldGo>): AsyncGenerator<readonly unknown[]> {
  const { workerId, dpRank } = await placed;
  const worker = { prefill_worker_id: workerId, prefill_dp_rank: dpRank, decode_worker_id: workerId, decode_dp_rank: dpRank };
  yield [decodedChunk({ tokenIds: [], extra: { routing_data: { worker_id: worker, token_ids: tokenIds } } })];
}
