import type { CacheChange, MockSequence } from '@dynamo/internal';
import type { KvRouterOptions } from '@dynamo/kv-router';
import {
  AdmissionQueue,
  outputGrowth,
  type OutputGrowth,
  type Placed,
  type PlaceRequest,
  readWorkerConfig,
  routingParts,
} from '@dynamo/kv-router/internal';
import { DynamoError } from '@dynamo/runtime';
import type { SimRequest } from '../sim-request.ts';
import type { Placement, PlacementHost, PoolFacts } from './placement.ts';

/** How the simulated router decides, beside what the pool says of itself. */
export interface KvPlacementOptions {
  readonly router?: Omit<KvRouterOptions, 'blockSize'>;
  /** How much later than they happen the router hears of changes of caches. */
  readonly eventLagMs?: number;
}

interface Late {
  readonly dueMs: number;
  readonly rank: number;
  readonly changes: readonly CacheChange[];
}

/** The parts of a live KV router, on the clock of the simulation: the same index, loads, costs and queue. */
export function kvRouter(pool: PoolFacts, host: PlacementHost, options: KvPlacementOptions = {}): Placement {
  const { clock, random } = host;
  const { router = {}, eventLagMs = 0 } = options;
  const parts = routingParts({ ...router, blockSize: pool.blockSize }, { clock, random });
  const { index, workers, scheduler, sequences } = parts;
  const config = readWorkerConfig({
    kv_cache_block_size: pool.blockSize,
    runtime_config: {
      total_kv_blocks: pool.blocks,
      data_parallel_size: pool.ranks,
      ...(pool.maxBatchedTokens === Infinity ? {} : { max_num_batched_tokens: pool.maxBatchedTokens }),
    },
  });
  for (let worker = 0; worker < pool.workers; worker++) {
    // Ranks get their numbers in this order, so they are those of the pool. An empty cache makes them known to the index.
    workers.put(BigInt(worker), config);
    for (let dpRank = 0; dpRank < pool.ranks; dpRank++)
      index.apply({ workerId: BigInt(worker), dpRank, tier: 'device', domain: 'worker', id: 0, change: { type: 'cleared' } });
  }
  const hears = parts.indexName === 'events';
  const growing = new Map<SimRequest, OutputGrowth>();
  const late: Late[] = [];

  const placeRequest = (request: SimRequest): PlaceRequest => {
    hearLate();
    const { device, hostPinned, disk, external } = index.overlaps(request.prompt);
    const { sequence } = request.prompt;
    return {
      isl: request.turn.input,
      sequence: new Uint32Array(sequence.buffer, sequence.byteOffset, sequence.length * 2),
      overlaps: { device, host: hostPinned, disk, external },
    };
  };
  const dispatch = (request: SimRequest): Placed => {
    const placed = scheduler.place(placeRequest(request));
    scheduler.book(String(request.id), placed);
    index.routed(request.prompt, placed.rank);
    if (parts.options.settings.trackOutputBlocks) growing.set(request, growthOf(request));
    host.deliver(request, placed.rank);
    return placed;
  };
  const growthOf = (request: SimRequest): OutputGrowth =>
    outputGrowth({ isl: request.turn.input, blockSize: pool.blockSize, expectedTokens: request.turn.output }, (decay) =>
      sequences.addOutputBlock(String(request.id), decay),
    );
  const queue = new AdmissionQueue<SimRequest, Placed>({
    profile: parts.profile,
    clock,
    host: { outlook: (request) => scheduler.outlook(placeRequest(request)), dispatch, workers: () => workers.size },
  });
  function hearLate(): void {
    while (late[0] !== undefined && late[0].dueMs <= clock()) {
      const { rank, changes } = late.shift() as Late;
      hear(rank, changes);
    }
  }
  const hear = (rank: number, changes: readonly CacheChange[]): void => {
    for (const change of changes) {
      if (change.type === 'removed') index.core.remove(0, rank, change.hashes);
      else index.core.store(0, rank, ...storedBlocks(change));
    }
  };
  return {
    hears,
    get pending() {
      return queue.pending.requests;
    },
    place(request) {
      const { turn } = request;
      const priority = {
        isl: turn.input,
        ...(turn.priority === undefined ? {} : { priorityJump: turn.priority }),
        ...(turn.strictPriority === undefined ? {} : { strictPriority: turn.strictPriority }),
        ...(turn.policyClass === undefined ? {} : { policyClass: turn.policyClass }),
      };
      // The answer comes by `dispatch`; only a refusal comes this way.
      void queue.submit(request, priority).catch((error: unknown) => {
        if (!DynamoError.is(error)) throw error;
        host.refuse(request);
      });
    },
    output: (request, tokens) => growing.get(request)?.grow(tokens),
    prefillDone(request) {
      sequences.prefillDone(String(request.id));
      queue.drain();
    },
    ended(request) {
      growing.delete(request);
      sequences.free(String(request.id));
      queue.drain();
    },
    changed(rank, changes) {
      if (changes.length === 0) return;
      if (eventLagMs > 0) late.push({ dueMs: clock() + eventLagMs, rank, changes: [...changes] });
      else hear(rank, changes);
    },
  };
}

/** The parent and the blocks of a store, as the index takes them. */
function storedBlocks({
  sequence,
  from,
  count,
}: {
  readonly sequence: MockSequence;
  readonly from: number;
  readonly count: number;
}): [parent: bigint | undefined, blocks: { tokens: BigUint64Array; blocks: BigUint64Array }] {
  const names = wide(sequence.names);
  return [
    from === 0 ? undefined : names[from - 1],
    { tokens: wide(sequence.locals).subarray(from, from + count), blocks: names.subarray(from, from + count) },
  ];
}

const wide = (words: Uint32Array<ArrayBuffer>): BigUint64Array => new BigUint64Array(words.buffer, words.byteOffset, words.length >> 1);
