import type { DistributedRuntime, Instance, InstanceId } from '@dynamo/runtime';
import { decodeInstance, decodeModel, type DiscoveryChange, type DiscoveryRecord, type EndpointName } from '@dynamo/runtime/internal';
import { readWorkerConfig, type WorkerConfig } from '../workers/worker-config.ts';
import type { WorkerSet } from '../workers/worker-set.ts';

/** Keeps a worker set in step with discovery: a worker is there while its instance is, and its model card says what it can take. */
export class WorkerWatch implements AsyncDisposable {
  /** Resolves when both pictures have been seen once. */
  readonly ready: Promise<void>;
  readonly #workers: WorkerSet;
  readonly #gone: (rank: number) => void;
  readonly #stop = new AbortController();
  readonly #instances = new Map<string, InstanceId>();
  readonly #cards = new Map<string, { readonly id: InstanceId; readonly config: WorkerConfig }>();
  readonly #loops: Promise<unknown>;
  #seen: readonly Instance[] = [];

  constructor(runtime: DistributedRuntime, name: EndpointName, parts: { workers: WorkerSet; gone: (rank: number) => void }) {
    this.#workers = parts.workers;
    this.#gone = parts.gone;
    const prefix = `${name.namespace}/${name.component}/${name.endpoint}`;
    const follow = (bucket: 'v1/instances' | 'v1/mdc', take: (record: DiscoveryRecord) => void, drop: (key: string) => void) => {
      const first = Promise.withResolvers<void>();
      const loop = (async (): Promise<void> => {
        for await (const change of runtime.discovery.watch({ bucket, prefix }, { signal: this.#stop.signal })) {
          each(change, take, drop);
          first.resolve();
        }
      })().catch((error: unknown) => {
        if (!this.#stop.signal.aborted) runtime.log.error({ error: String(error) }, "the watch of a router's workers has ended");
      });
      return { first: first.promise, loop };
    };
    const instances = follow(
      'v1/instances',
      (record) => this.#putInstance(record),
      (key) => this.#dropInstance(key),
    );
    const cards = follow(
      'v1/mdc',
      (record) => this.#putCard(record),
      (key) => this.#dropCard(key),
    );
    this.ready = Promise.all([instances.first, cards.first]).then(() => undefined);
    this.#loops = Promise.all([instances.loop, cards.loop]);
  }

  /** Whether the workers' block hashes overlap by a token, as their cards say. */
  get eagle(): boolean {
    for (const { config } of this.#cards.values()) return config.eagle;
    return false;
  }

  /**
   * Whether a worker has such a rank, as its card says; one that discovery has not shown yet may have any of a card's usual
   * ranks, since events may run ahead of it.
   */
  hasRank(id: InstanceId, dpRank: number): boolean {
    const { dpStart, dpSize } = this.#workers.get(id)?.config ?? this.#configOf(id);
    return dpRank >= dpStart && dpRank < dpStart + dpSize;
  }

  /** Takes the instances that may be chosen now: the others stay known, and nothing is sent to them. */
  see(candidates: readonly Instance[]): void {
    if (same(candidates, this.#seen)) return;
    this.#seen = candidates;
    const routable = new Set(candidates.map(({ id }) => id));
    for (const id of routable) if (this.#workers.get(id) === undefined) this.#put(id);
    for (const { id } of this.#workers.all()) this.#workers.setAvailable(id, routable.has(id));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#loops;
  }

  #putInstance(record: DiscoveryRecord): void {
    const instance = decodeInstance(record);
    if (instance === undefined) return;
    this.#instances.set(record.key, instance.id);
    if (this.#workers.get(instance.id) === undefined) this.#put(instance.id);
  }

  #dropInstance(key: string): void {
    const id = this.#instances.get(key);
    this.#instances.delete(key);
    if (id === undefined) return;
    for (const rank of this.#workers.remove(id)) this.#gone(rank);
    this.#seen = [];
  }

  #putCard(record: DiscoveryRecord): void {
    const model = decodeModel(record);
    if (model === undefined) return;
    this.#cards.set(record.key, { id: model.id, config: readWorkerConfig(model.card) });
    if (this.#workers.get(model.id) !== undefined) this.#put(model.id);
  }

  #dropCard(key: string): void {
    this.#cards.delete(key);
  }

  #put(id: InstanceId): void {
    for (const rank of this.#workers.put(id, this.#configOf(id))) this.#gone(rank);
    this.#seen = [];
  }

  #configOf(id: InstanceId): WorkerConfig {
    for (const card of this.#cards.values()) if (card.id === id) return card.config;
    return readWorkerConfig({});
  }
}

function each(change: DiscoveryChange, take: (record: DiscoveryRecord) => void, drop: (key: string) => void): void {
  if (change.type === 'delete') drop(change.key);
  else if (change.type === 'put') take(change.record);
  else for (const record of change.records) take(record);
}

/** Whether two lists hold the same instances: they are asked with every request and rarely differ. */
function same(a: readonly Instance[], b: readonly Instance[]): boolean {
  if (a === b) return true;
  if (a.length !== b.length) return false;
  for (let index = 0; index < a.length; index++) if (a[index]?.id !== b[index]?.id) return false;
  return true;
}
