import { setTimeout as sleep } from 'node:timers/promises';
import { type DistributedRuntime, DynamoError, type EndpointPath } from '@dynamo/runtime';
import {
  batchesOf,
  decodeBareItem,
  decodeEventSource,
  type DiscoveryRecord,
  type EndpointName,
  type EventChange,
  type EventScope,
  topicPath,
} from '@dynamo/runtime/internal';
import { EventSource, retryRule, type SourceState } from '../recovery/source.ts';
import { decodeRouterEvents, type RouterEvent, u32, u64 } from '../wire/kv-event.ts';
import { object } from '../wire/members.ts';
import { answerFromWire, queryToWire, type WorkerAnswer } from '../wire/worker-query.ts';

/** What is told about one rank's cache. */
export interface KvSink {
  apply(event: RouterEvent): void;
  /** Everything that was known of the rank is void. */
  reset(workerId: bigint, dpRank: number): void;
}

/** How well one publisher is heard. */
export interface SourceReport {
  readonly publisher: bigint;
  readonly workerId: bigint;
  readonly dpRank: number;
  readonly state: SourceState;
  /** Number of the newest event applied. */
  readonly cursor: number | undefined;
  /** How often events were missing. */
  readonly gaps: number;
  /** Messages that could not be read. */
  readonly malformed: number;
  /** When the last message came, in milliseconds of the clock; 0 before the first. */
  readonly heardAt: number;
}

interface Known {
  readonly workerId: bigint;
  readonly dpRank: number;
  readonly source: EventSource;
  malformed: number;
  heardAt: number;
}

const topic = 'kv-events';

/**
 * Hears the cache events of an endpoint's workers and keeps a sink in step with them (spec kv-router 17.3).
 *
 * A publisher counts only with its event source record, which names its worker and where to ask for what was missed.
 */
export class KvSources implements AsyncDisposable {
  readonly #runtime: DistributedRuntime;
  readonly #scope: EventScope;
  readonly #sink: KvSink;
  readonly #clock: () => number;
  readonly #stop = new AbortController();
  readonly #known = new Map<bigint, Known>();
  readonly #keys = new Map<string, bigint>();
  readonly #loops: Promise<unknown>;

  constructor(runtime: DistributedRuntime, name: EndpointName, options: { sink: KvSink; clock?: () => number }) {
    this.#runtime = runtime;
    this.#scope = { namespace: name.namespace, component: name.component, endpoint: name.endpoint };
    this.#sink = options.sink;
    this.#clock = options.clock ?? Date.now;
    this.#loops = Promise.all([this.#watch(), this.#listen()].map((loop) => loop.catch((error: unknown) => this.#failed(error))));
  }

  /** Every publisher that is known now. */
  reports(): SourceReport[] {
    return [...this.#known].map(([publisher, { workerId, dpRank, source, malformed, heardAt }]) => {
      const { state, cursor, gaps } = source;
      return { publisher, workerId, dpRank, state, cursor, gaps, malformed, heardAt };
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    for (const { source } of this.#known.values()) source[Symbol.dispose]();
    this.#known.clear();
    await this.#loops;
  }

  #failed(error: unknown): void {
    if (!this.#stop.signal.aborted) this.#runtime.log.error({ error: String(error) }, 'KV events are heard no more');
  }

  async #watch(): Promise<void> {
    const query = { bucket: 'v1/event_sources', prefix: topicPath(this.#scope, topic) } as const;
    for await (const change of this.#runtime.discovery.watch(query, { signal: this.#stop.signal })) {
      if (change.type === 'delete') this.#remove(change.key);
      else for (const record of change.type === 'put' ? [change.record] : change.records) this.#add(record);
    }
  }

  async #listen(): Promise<void> {
    for await (const batch of batchesOf(this.#runtime.events.subscribe(this.#scope, topic, { signal: this.#stop.signal })))
      for (const change of batch) this.#hear(change);
  }

  #hear(change: EventChange): void {
    const known = this.#known.get(change.publisher);
    if (known === undefined) return;
    // Whoever joins, or has missed messages, may miss some whose absence no later one would show.
    if (change.type !== 'event') return change.type === 'left' ? undefined : known.source.refresh();
    known.heardAt = this.#clock();
    let events: RouterEvent[];
    try {
      events = decodeRouterEvents(change.payload);
    } catch (error) {
      known.malformed += 1;
      this.#runtime.log.warn({ worker: known.workerId, error: String(error) }, 'a KV event message is unreadable: dropped');
      return;
    }
    for (const event of events) {
      // A publisher speaks for its own worker alone.
      if (event.workerId === known.workerId) known.source.push(event);
      else known.malformed += 1;
    }
  }

  #add(record: DiscoveryRecord): void {
    const source = decodeEventSource(record);
    const target = source === undefined ? undefined : readTarget(source.metadata);
    if (source === undefined || target === undefined) {
      this.#runtime.log.warn({ key: record.key }, 'an event source in discovery is unreadable: ignored');
      return;
    }
    const present = this.#keys.get(record.key);
    if (present === source.publisher) return;
    if (present !== undefined) this.#remove(record.key);
    this.#keys.set(record.key, source.publisher);
    const { workerId, dpRank } = target;
    this.#known.set(source.publisher, {
      workerId,
      dpRank,
      malformed: 0,
      heardAt: 0,
      source: new EventSource({
        ask: (start, signal) => this.#ask(target, start, AbortSignal.any([signal, this.#stop.signal])),
        apply: (event) => this.#sink.apply(event),
        reset: () => this.#sink.reset(workerId, dpRank),
        sleep: (ms, signal) => sleep(ms, undefined, { signal }),
        log: this.#runtime.log,
      }),
    });
  }

  #remove(key: string): void {
    const publisher = this.#keys.get(key);
    if (publisher === undefined) return;
    this.#keys.delete(key);
    const known = this.#known.get(publisher);
    this.#known.delete(publisher);
    if (known === undefined) return;
    known.source[Symbol.dispose]();
    this.#sink.reset(known.workerId, known.dpRank);
  }

  async #ask(target: Target, start: number | undefined, signal: AbortSignal): Promise<WorkerAnswer> {
    await using client = this.#runtime.openClient<unknown, unknown>(target.path, {
      readItem: (bytes, from, to) => decodeBareItem(bytes.subarray(from, to)),
    });
    const limit = AbortSignal.any([signal, AbortSignal.timeout(retryRule.answerMs)]);
    while (!client.instances.some(({ id }) => id === target.instance)) {
      await client.ready({ min: client.instances.length + 1, signal: limit });
    }
    const query = queryToWire({ workerId: target.workerId, dpRank: target.dpRank, start, end: undefined });
    for await (const answer of client.generate(query, { instance: target.instance, signal: limit })) return answerFromWire(answer);
    throw new DynamoError('stream_incomplete', 'a recovery query had no answer');
  }
}

/** Where a source can be asked, and for whom it speaks. */
interface Target {
  readonly path: EndpointPath;
  readonly instance: bigint;
  readonly workerId: bigint;
  readonly dpRank: number;
}

function readTarget(metadata: Readonly<Record<string, unknown>>): Target | undefined {
  const worker = object(metadata['worker']);
  const { namespace, component, endpoint, instance_id: instance } = object(metadata['recovery_target']) ?? {};
  if (typeof namespace !== 'string' || typeof component !== 'string' || typeof endpoint !== 'string') return undefined;
  try {
    return {
      path: `${namespace}.${component}.${endpoint}`,
      instance: u64(instance, 'instance_id'),
      workerId: u64(worker?.['worker_id'], 'worker_id'),
      dpRank: u32(worker?.['dp_rank'], 'dp_rank'),
    };
  } catch {
    return undefined;
  }
}
