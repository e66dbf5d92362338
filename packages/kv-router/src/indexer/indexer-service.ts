import type { Logger } from '@dynamo/runtime';
import { type Answer, asking, done, openDoor, type Route, taking } from '../http/door.ts';
import { refusal } from '../http/refusal.ts';
import type { HttpService } from '../slots/slot-tracker.ts';
import { checkAddress } from '../publish/zmq-address.ts';
import {
  dumpToWire,
  engineToWire,
  indexerPeer,
  queryAnswerToWire,
  queryHashes,
  queryTokens,
  registerEngine,
  type RegisterEngine,
  unregisterEngine,
} from '../wire/indexer-bodies.ts';
import { checkBlockSize, EngineGroup } from './engine-group.ts';
import { IndexerMetrics } from './indexer-metrics.ts';
import { takeOverDump } from './peer-dump.ts';

/** Where the indexer listens, and with what it begins. */
export interface IndexerOptions {
  readonly host?: string;
  /** Default 8090; 0 takes a free one. */
  readonly port?: number;
  /** Engines that it listens to from the start. */
  readonly engines?: readonly RegisterEngine[];
  /** Other indexers: what the first of them that answers knows is taken over at the start. */
  readonly peers?: readonly string[];
  readonly log: Logger;
}

/**
 * Serves the indexer of the real router on its own (spec kv-router 20): it listens to engines' own events and tells who holds
 * how much of a prompt.
 */
export async function serveIndexer(options: IndexerOptions): Promise<HttpService> {
  const { host = '0.0.0.0', port = 8090, log, peers = [], engines = [] } = options;
  await using stack = new AsyncDisposableStack();
  const groups = stack.use(new EngineGroups(log));
  const known = new Set(peers);
  await takeOverDump(peers, { groupOf: (model, group, blockSize) => groups.make(model, group, blockSize), log });
  for (const engine of engines) await groups.register(engine);
  const metrics = new IndexerMetrics();
  const routes = [...engineRoutes(groups), ...peerRoutes(known), ...readRoutes(groups, metrics)];
  const door = stack.use(await openDoor({ host, port, errors: 'plain', log, routes, answered: metrics.answered }));
  const kept = stack.move();
  return { address: door.address, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

/** Every group by its model and name. */
class EngineGroups implements AsyncDisposable {
  readonly #groups = new Map<string, EngineGroup>();
  readonly #log: Logger;

  constructor(log: Logger) {
    this.#log = log;
  }

  all(): readonly EngineGroup[] {
    return [...this.#groups.values()];
  }

  group(model: string, group: string): EngineGroup {
    const found = this.#groups.get(`${model}:${group}`);
    if (found === undefined) throw refusal(404, `no indexer for model=${model} routing_group=${group}`);
    return found;
  }

  /** A group, made when it is not there yet. */
  make(model: string, group: string, blockSize: number): EngineGroup {
    const name = `${model}:${group}`;
    const found = this.#groups.get(name) ?? new EngineGroup({ model, group, blockSize, log: this.#log });
    this.#groups.set(name, found);
    return found;
  }

  async register(engine: RegisterEngine): Promise<void> {
    const { instanceId, dpRank, modelName: model, routingGroup: group, blockSize } = engine;
    checkAddress(engine.endpoint);
    // The real one takes 0 and then finds nothing.
    if (blockSize === 0) throw refusal(400, 'block_size must be greater than 0');
    const other = this.all().find((each) => each.has(instanceId));
    if (other !== undefined && (other.model !== model || other.group !== group))
      throw refusal(409, `instance ${instanceId} is already registered for model=${other.model} routing_group=${other.group}`);
    if (other?.hears(instanceId, dpRank) === true) throw refusal(409, `instance ${instanceId} dp_rank ${dpRank} already registered`);
    const into = this.make(model, group, blockSize);
    checkBlockSize(into, blockSize);
    try {
      await into.listen(engine);
    } catch (error) {
      this.#leave(into);
      throw error;
    }
  }

  async unregister(instanceId: bigint, model: string, group: string): Promise<void> {
    const found = this.#groups.get(`${model}:${group}`);
    if (found?.has(instanceId) !== true) throw refusal(404, `instance ${instanceId} not found`);
    await found.drop(instanceId);
    this.#leave(found);
  }

  #leave(group: EngineGroup): void {
    if (group.engines.length === 0) this.#groups.delete(`${group.model}:${group.group}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const group of this.all()) await group[Symbol.asyncDispose]();
  }
}

const json = (value: unknown): Answer => ({ status: 200, json: value });

function engineRoutes(groups: EngineGroups): Route[] {
  return [
    taking('POST /register', registerEngine, async ({ body }) => {
      await groups.register(body);
      return done(201);
    }),
    taking('POST /unregister', unregisterEngine, async ({ body }) => {
      await groups.unregister(body.instanceId, body.modelName, body.routingGroup);
      return done();
    }),
    asking('GET /workers', () =>
      json(
        groups
          .all()
          .flatMap(({ engines, model: modelName, group: routingGroup, blockSize }) =>
            engines.map((engine) => engineToWire({ ...engine, modelName, routingGroup, blockSize })),
          ),
      ),
    ),
  ];
}

function readRoutes(groups: EngineGroups, metrics: IndexerMetrics): Route[] {
  return [
    asking('GET /health', () => ({ status: 200 })),
    asking('GET /metrics', async () => ({ status: 200, text: { type: 'text/plain; version=0.0.4', body: await metrics.text(groups.all()) } })),
    asking('GET /dump', () =>
      json(Object.fromEntries(groups.all().map(({ model, group, blockSize, index }) => [`${model}:${group}`, dumpToWire(blockSize, index.dump())]))),
    ),
    taking('POST /query', queryTokens, ({ body }) => {
      const group = groups.group(body.modelName, body.routingGroup);
      return json(queryAnswerToWire(group.query(body.tokenIds, { lora: body.loraName, salt: body.cacheSalt }), group.blockSize));
    }),
    taking('POST /query_by_hash', queryHashes, ({ body }) => {
      if (body.cacheSalt !== undefined)
        throw refusal(400, 'cache_salt is not accepted by /query_by_hash; block_hashes must already include the intended cache salt');
      const group = groups.group(body.modelName, body.routingGroup);
      return json(queryAnswerToWire(group.queryHashes(body.blockHashes), group.blockSize));
    }),
  ];
}

/** Peers are kept for whoever asks; they are asked themselves only at the start. */
function peerRoutes(peers: Set<string>): Route[] {
  return [
    asking('GET /peers', () => json([...peers])),
    taking('POST /register_peer', indexerPeer, ({ body }) => {
      peers.add(body.url);
      return done(201);
    }),
    taking('POST /deregister_peer', indexerPeer, ({ body }) => {
      if (!peers.delete(body.url)) throw refusal(404, 'peer not found');
      return done();
    }),
  ];
}
