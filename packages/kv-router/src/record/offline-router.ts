import { DynamoError } from '@dynamo/runtime';
import { PromptHasher, type PromptHashes } from '../hash/block-hash.ts';
import { ReplicaSync } from '../load/replica-sync.ts';
import type { KvRouterOptions } from '../options.ts';
import { type RoutingParts, routingParts } from '../routing/routing-parts.ts';
import { selectors } from '../select/index.ts';
import type { Placed } from '../select/scheduler.ts';
import { decodeActiveLoad } from '../wire/load.ts';
import type { RecordedDecision, RecordedEntry, RecordedRouter } from '../wire/recording.ts';
import { decodeStateFrame } from '../wire/router-state.ts';

/** A router without workers, events or a clock of its own: it takes recorded steps. */
export class OfflineRouter {
  readonly parts: RoutingParts;
  readonly #hasher: PromptHasher;
  readonly #replicas: ReplicaSync;

  constructor(options: KvRouterOptions, time: { clock: () => number; random: () => number }) {
    this.parts = routingParts(options, time);
    const { ranks, sequences, index } = this.parts;
    this.#hasher = new PromptHasher(index.core);
    this.#replicas = new ReplicaSync({ routerId: 0n, ranks, sequences, publish: () => undefined });
  }

  /** Takes a step that is no decision. */
  take(entry: Exclude<RecordedEntry, { kind: 'router' | 'decision' }>): void {
    switch (entry.kind) {
      case 'worker':
        return this.#forget(this.parts.workers.put(entry.workerId, entry.config));
      case 'gone':
        return this.#forget(this.parts.workers.remove(entry.workerId));
      case 'available':
        return this.parts.workers.setAvailable(entry.workerId, entry.available);
      case 'event':
        return void this.parts.index.apply(entry.event);
      case 'reset': {
        const rank = this.parts.ranks.find(entry.workerId, entry.dpRank);
        return rank === undefined ? undefined : this.parts.index.clear(rank);
      }
      case 'read':
        return void this.parts.sequences.prefillDone(entry.id);
      case 'output':
        return void this.parts.sequences.addOutputBlock(entry.id, entry.decay);
      case 'freed':
        return void this.parts.sequences.free(entry.id);
      case 'expired':
        return void this.parts.sequences.expire();
      case 'heard':
        return this.#hear(entry.topic, entry.payload);
      case 'state':
        return this.#restore(entry.frame);
      default:
        return undefined;
    }
  }

  /** The hashes of a recorded prompt. */
  promptOf({ local }: Pick<RecordedDecision, 'local'>): PromptHashes {
    return { local, sequence: this.#hasher.chain(local) };
  }

  /** Decides anew, and counts the request where it goes now. */
  decide(decision: RecordedDecision, prompt: PromptHashes): Placed {
    const { device, hostPinned, disk, external } = this.parts.index.overlaps(prompt);
    for (const [workerId, dpRank, blocks] of decision.adjusted ?? []) {
      const rank = this.parts.ranks.find(workerId, dpRank);
      if (rank === undefined) continue;
      device[rank] = blocks;
      hostPinned[rank] = disk[rank] = external[rank] = 0;
    }
    const { constraints, override } = decision;
    const placed = this.parts.scheduler.place({
      isl: decision.isl,
      sequence: new Uint32Array(prompt.sequence.buffer, prompt.sequence.byteOffset, prompt.sequence.length * 2),
      overlaps: { device, host: hostPinned, disk, external },
      ...(constraints === undefined ? {} : { constraints }),
      ...(override === undefined ? {} : { override }),
    });
    this.parts.scheduler.book(decision.id, placed);
    this.parts.index.routed(prompt, placed.rank);
    return placed;
  }

  #forget(ranks: readonly number[]): void {
    for (const rank of ranks) {
      this.parts.sequences.freeRank(rank);
      this.parts.overload.forget(rank);
      this.parts.index.forget(rank);
      this.parts.ranks.release(rank);
    }
  }

  #hear(topic: string, payload: Uint8Array): void {
    if (topic === 'active_sequences_events') this.#replicas.onEvent(payload);
    if (topic !== 'kv_metrics') return;
    try {
      const { workerId, dpRank, ...load } = decodeActiveLoad(payload);
      const rank = this.parts.ranks.find(workerId, dpRank);
      if (rank !== undefined) this.parts.overload.report(rank, load);
    } catch (error) {
      // The router that recorded it could not read it either.
      if (!DynamoError.is(error, 'backend_protocol')) throw error;
    }
  }

  #restore(bytes: Uint8Array): void {
    const frame = decodeStateFrame(bytes);
    if (frame.kind === 'chains') for (const chain of frame.chains) this.parts.index.restore(chain);
    if (frame.kind === 'decisions') for (const decision of frame.decisions) this.parts.index.remember(decision);
    if (frame.kind === 'requests') this.#replicas.takeOver(frame.requests);
  }
}

/**
 * The options that a recording stands for.
 *
 * @throws DynamoError `not_implemented` for a selector of the user's own.
 */
export function recordedOptions({ blockSize, index, role, selector, settings, overload }: RecordedRouter): KvRouterOptions {
  if (!Object.hasOwn(selectors, selector)) throw new DynamoError('not_implemented', `the recording's selector '${selector}' is not known here`);
  return { blockSize, index, role, settings, overload, selector: selector as keyof typeof selectors };
}
