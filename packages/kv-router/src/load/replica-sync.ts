import { DynamoError } from '@dynamo/runtime';
import type { RankTable } from '../ranks.ts';
import { decodeSequenceEvents, encodeSequenceEvents, type SequenceChange, type SequenceEvent } from '../wire/sequence-event.ts';
import type { RunningRequest } from '../wire/router-state.ts';
import type { ActiveSequences } from './active-sequences.ts';
import { processTimer, type Timer } from './clock.ts';
import { fromBigints, type SequenceHashes, toBigints } from './sequence-table.ts';

/** Most events of one message, and how long the first of them waits for others (spec kv-router 16.2). */
const batch = { events: 256, delayMs: 1 } as const;

/** What a router books for a request, as it tells the others. */
export interface SharedRequest {
  readonly id: string;
  readonly workerId: bigint;
  readonly dpRank: number;
  readonly sequence: SequenceHashes;
  readonly trackPrefill: boolean;
  readonly prefillTokens: number;
  readonly expectedPrefillMs?: number;
  readonly expectedOutputTokens?: number;
  readonly loraName?: string;
}

/** How a replica takes part. */
export interface ReplicaSyncOptions {
  /** Our own id; what comes back under it is ignored. */
  readonly routerId: bigint;
  readonly ranks: RankTable;
  readonly sequences: ActiveSequences;
  /** Sends one message of the topic. */
  readonly publish: (payload: Uint8Array) => void;
  /** One event a message, without wrapper: what goes over NATS. */
  readonly bare?: boolean;
  /** Writes one event a message in a form of its own. */
  readonly encode?: (event: SequenceEvent) => Uint8Array;
  /** Told when another router's events have changed the loads: queues look again. */
  readonly changed?: () => void;
  readonly timer?: Timer;
}

/**
 * Keeps the load tables of several routers alike: tells the others what this one books, and books what they tell.
 *
 * Best effort, as in 1.6.1: no snapshot for those who come later, no order between routers; what a dead router leaves
 * behind goes with expiry.
 */
export class ReplicaSync implements Disposable {
  readonly #options: ReplicaSyncOptions;
  readonly #waiting: SequenceEvent[] = [];
  #cancel: (() => void) | undefined;
  /** Requests that have ended since we listen, until the state of a peer has been taken: it may be from before their end. */
  #ended: Set<string> | undefined = new Set();
  #refused = 0;
  #messages = 0;
  #events = 0;

  constructor(options: ReplicaSyncOptions) {
    this.#options = options;
  }

  /** Messages of others that could not be read. */
  get refused(): number {
    return this.#refused;
  }

  /** What others have told so far. */
  get heard(): { readonly messages: number; readonly events: number } {
    return { messages: this.#messages, events: this.#events };
  }

  /** Tells the others that a request was booked. */
  added(request: SharedRequest): void {
    this.#send(request, {
      type: 'added',
      sequence: toBigints(request.sequence),
      trackPrefill: request.trackPrefill,
      ...(request.expectedOutputTokens === undefined ? {} : { expectedOutputTokens: request.expectedOutputTokens }),
      prefill: { tokens: request.prefillTokens, ...(request.expectedPrefillMs === undefined ? {} : { expectedMs: request.expectedPrefillMs }) },
    });
  }

  /** Tells the others that a prompt has been read. */
  prefillDone(request: SharedRequest): void {
    this.#send(request, { type: 'prefillDone' });
  }

  /** Tells the others that a request has ended. */
  freed(request: SharedRequest): void {
    this.#send(request, { type: 'freed' });
  }

  /** Books one message of another router; ours are ignored, what can't be read is counted. */
  onEvent(payload: Uint8Array): void {
    let events: SequenceEvent[];
    try {
      events = decodeSequenceEvents(payload);
    } catch (error) {
      if (!DynamoError.is(error)) throw error;
      this.#refused++;
      return;
    }
    this.hear(events);
  }

  /** Books what one message of another router says. */
  hear(events: readonly SequenceEvent[]): void {
    const others = events.filter(({ routerId }) => routerId !== this.#options.routerId);
    for (const event of others) this.#apply(event);
    this.#messages += others.length > 0 ? 1 : 0;
    this.#events += others.length;
    if (others.length > 0) this.#options.changed?.();
  }

  /** Takes over what a peer says that it runs; without one, what ends need no longer be remembered. */
  takeOver(requests: Iterable<RunningRequest>): void {
    const { sequences, ranks } = this.#options;
    for (const { id, workerId, dpRank, sequence, prefillTokens } of requests) {
      const rank = ranks.find(workerId, dpRank);
      if (rank === undefined || sequences.has(id) || this.#ended?.has(id) === true) continue;
      sequences.add({ id, rank, sequence, prefillTokens });
    }
    this.#ended = undefined;
  }

  /** Sends what waits. */
  flush(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    const events = this.#waiting.splice(0);
    if (events.length === 0) return;
    const { encode } = this.#options;
    if (encode !== undefined) for (const event of events) this.#options.publish(encode(event));
    else if (this.#options.bare === true) for (const event of events) this.#options.publish(encodeSequenceEvents([event], { bare: true }));
    else this.#options.publish(encodeSequenceEvents(events));
  }

  /** Sends what waits and stops the timer. */
  [Symbol.dispose](): void {
    this.flush();
  }

  #send(request: SharedRequest, change: SequenceChange): void {
    this.#waiting.push({
      requestId: request.id,
      workerId: request.workerId,
      dpRank: request.dpRank,
      routerId: this.#options.routerId,
      ...(request.loraName === undefined ? {} : { loraName: request.loraName }),
      change,
    });
    if (this.#waiting.length >= batch.events) this.flush();
    else this.#cancel ??= (this.#options.timer ?? processTimer)(() => this.flush(), batch.delayMs);
  }

  #apply(event: SequenceEvent): void {
    const { sequences, ranks } = this.#options;
    const { change, requestId } = event;
    if (change.type === 'prefillDone') sequences.prefillDone(requestId);
    else if (change.type === 'freed') {
      sequences.free(requestId);
      this.#ended?.add(requestId);
    }
    // The same id from two routers, or told twice: the first one counts.
    else if (!sequences.has(requestId)) {
      sequences.add({
        id: requestId,
        rank: ranks.intern(event.workerId, event.dpRank),
        sequence: fromBigints(change.sequence ?? []),
        prefillTokens: change.trackPrefill ? (change.prefill?.tokens ?? 0) : 0,
        ...(change.prefill?.expectedMs === undefined ? {} : { expectedPrefillMs: change.prefill.expectedMs }),
      });
    }
  }
}
