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
import { eventKind } from '../core/core.ts';
import { TimeSlice } from './time-slice.ts';
import type { EventBatch } from '../prefix/prefix-index.ts';
import { EventSource, type Recoveries, retryRule, type SourceState } from '../recovery/source.ts';
import { readableEvents, type RouterEvent, u32, u64 } from '../wire/kv-event.ts';
import { object } from '../wire/members.ts';
import { answerFromWire, queryToWire, type WorkerAnswer } from '../wire/worker-query.ts';

/** What is told about the ranks' caches. */
export interface KvSink {
  /** Decodes a message of the topic; nothing is applied yet. */
  decode(payload: Uint8Array): EventBatch;
  apply(event: RouterEvent): void;
  /** Everything that was known of the rank is void. */
  reset(workerId: bigint, dpRank: number): void;
  /** Whether the worker has such a rank, as far as anybody knows. */
  hasRank(workerId: bigint, dpRank: number): boolean;
}

/** What is known of a publisher's ranks before it is asked the first question. */
export interface KnownBefore {
  /** Number of the newest event in it. */
  readonly cursor: number;
  readonly ranks: ReadonlySet<number>;
  /** Puts it into the index; false when some of it could not be placed. */
  restore(): boolean;
}

/** Who may know something of publishers already. */
export interface WarmSources {
  claim(publisher: bigint, workerId: bigint, dpRank: number): KnownBefore | undefined;
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
  /** Events, or whole messages, that could not be read or spoke of what is not the publisher's. */
  readonly malformed: number;
  /** Messages heard. */
  readonly batches: number;
  readonly recoveries: Readonly<Recoveries>;
  /** When the last message came, in milliseconds of the clock; 0 before the first. */
  readonly heardAt: number;
}

interface Known {
  readonly workerId: bigint;
  readonly dpRank: number;
  readonly source: EventSource;
  /** Ranks that its events have spoken of: an engine may tell of all of them through one publisher. */
  readonly ranks: Set<number>;
  malformed: number;
  batches: number;
  heardAt: number;
}

const topic = 'kv-events';

/**
 * Hears the cache events of an endpoint's workers and keeps a sink in step with them (spec kv-router 17.3).
 *
 * A publisher counts only with its event source record, which names its worker and where to ask for what was missed. Events
 * that come in order are applied where they were decoded; only what must wait for an answer becomes objects.
 */
export class KvSources implements AsyncDisposable {
  readonly #runtime: DistributedRuntime;
  readonly #scope: EventScope;
  readonly #sink: KvSink;
  readonly #clock: () => number;
  readonly #warm: Promise<WarmSources | undefined> | undefined;
  #before: WarmSources | undefined;
  readonly #stop = new AbortController();
  readonly #known = new Map<bigint, Known>();
  readonly #keys = new Map<string, bigint>();
  readonly #loops: Promise<unknown>;

  constructor(
    runtime: DistributedRuntime,
    name: EndpointName,
    options: { sink: KvSink; clock?: () => number; warm?: Promise<WarmSources | undefined> },
  ) {
    this.#runtime = runtime;
    this.#scope = { namespace: name.namespace, component: name.component, endpoint: name.endpoint };
    this.#sink = options.sink;
    this.#clock = options.clock ?? Date.now;
    this.#warm = options.warm;
    this.#loops = Promise.all([this.#watch(), this.#listen()].map((loop) => loop.catch((error: unknown) => this.#failed(error))));
  }

  /** Every publisher that is known now. */
  reports(): SourceReport[] {
    return [...this.#known].map(([publisher, { workerId, dpRank, source, malformed, batches, heardAt }]) => {
      const { state, cursor, gaps, recoveries } = source;
      return { publisher, workerId, dpRank, state, cursor, gaps, malformed, batches, recoveries: { ...recoveries }, heardAt };
    });
  }

  /** Asks a publisher's worker for everything that it holds, whatever was heard of it. */
  resync(publisher: bigint): void {
    this.#known.get(publisher)?.source.resync();
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
    // Who begins warm asks nobody before it knows from where on.
    this.#before = await this.#warm;
    const query = { bucket: 'v1/event_sources', prefix: topicPath(this.#scope, topic) } as const;
    for await (const change of this.#runtime.discovery.watch(query, { signal: this.#stop.signal })) {
      if (change.type === 'delete') this.#remove(change.key);
      else for (const record of change.type === 'put' ? [change.record] : change.records) this.#add(record);
    }
  }

  async #listen(): Promise<void> {
    const slice = new TimeSlice();
    for await (const batch of batchesOf(this.#runtime.events.subscribe(this.#scope, topic, { signal: this.#stop.signal }))) {
      for (const change of batch) {
        this.#hear(change);
        // Requests must not wait behind everything that workers have to tell.
        if (slice.isOver()) await slice.next();
      }
    }
  }

  #hear(change: EventChange): void {
    const known = this.#known.get(change.publisher);
    if (known === undefined) return;
    // Whoever joins, or has missed messages, may miss some whose absence no later one would show.
    if (change.type !== 'event') return change.type === 'left' ? undefined : known.source.refresh();
    known.heardAt = this.#clock();
    known.batches += 1;
    const batch = this.#sink.decode(change.payload);
    for (let i = 0; i < batch.length; i++) {
      if (!this.#isIts(known, batch, i)) this.#refuse(known);
      else if (known.source.takes(batch.id(i))) {
        known.ranks.add(batch.dpRank(i));
        batch.apply(i);
      } else return this.#hearSlowly(known, change.payload);
    }
  }

  /** Some event must wait or is old: all of the message goes the careful way, where those that count already are passed over. */
  #hearSlowly(known: Known, payload: Uint8Array): void {
    for (const event of readableEvents(payload)) {
      if (event.workerId === known.workerId && this.#sink.hasRank(event.workerId, event.dpRank)) known.source.push(event);
    }
  }

  /** A publisher speaks for its own worker alone, and of ranks that it has. */
  #isIts(known: Known, batch: EventBatch, i: number): boolean {
    if (batch.kind(i) === eventKind.malformed || batch.workerId(i) !== known.workerId) return false;
    const dpRank = batch.dpRank(i);
    return known.ranks.has(dpRank) || this.#sink.hasRank(known.workerId, dpRank);
  }

  #refuse(known: Known): void {
    known.malformed += 1;
    // Once a thousand: a publisher of another version would fill the log.
    if (known.malformed % 1_000 === 1)
      this.#runtime.log.warn({ worker: known.workerId, dropped: known.malformed }, 'a KV event is unreadable or not of its publisher: dropped');
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
    const before = this.#before?.claim(source.publisher, workerId, dpRank);
    const ranks = new Set([dpRank, ...(before?.ranks ?? [])]);
    const restored = before?.restore();
    if (restored === false) this.#reset(workerId, ranks);
    this.#known.set(source.publisher, {
      workerId,
      dpRank,
      ranks,
      malformed: 0,
      batches: 0,
      heardAt: 0,
      source: new EventSource({
        ask: (start, signal) => this.#ask(target, start, AbortSignal.any([signal, this.#stop.signal])),
        apply: (event) => {
          if (event.workerId !== workerId || !this.#sink.hasRank(workerId, event.dpRank)) return;
          ranks.add(event.dpRank);
          this.#sink.apply(event);
        },
        reset: () => this.#reset(workerId, ranks),
        sleep: (ms, signal) => sleep(ms, undefined, { signal }),
        log: this.#runtime.log,
        cursor: restored === true ? before?.cursor : undefined,
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
    this.#reset(known.workerId, known.ranks);
  }

  #reset(workerId: bigint, ranks: Iterable<number>): void {
    for (const dpRank of ranks) this.#sink.reset(workerId, dpRank);
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
