import { decodeEngineBatch, type EngineBatch } from '../wire/engine-batch.ts';
import type { RouterEvent } from '../wire/kv-event.ts';
import { convertStored, type ConvertOptions } from './convert.ts';
import { EngineFilter, type KeptEvent } from './engine-filter.ts';
import { EventPipeline, type PendingChange, toMessages } from './event-pipeline.ts';

/** What one engine message became: messages to publish, or why it was dropped. */
export interface Relayed {
  readonly messages: readonly (readonly RouterEvent[])[];
  readonly refused?: string;
}

/** Turns an engine's own events into those that routers read: decode, filter, hash, merge, number (spec kv-router 14 and 15). */
export class EngineRelay {
  readonly #options: ConvertOptions;
  readonly #filter = new EngineFilter();
  readonly #pipeline: EventPipeline;
  readonly #ranks = new Set<number>();

  constructor(workerId: bigint, options: ConvertOptions, pipeline: EventPipeline = new EventPipeline(workerId)) {
    this.#options = options;
    this.#pipeline = pipeline;
  }

  /** Reads the frames of one message: topic, 8-byte sequence, batch. Never throws. */
  read(frames: readonly Uint8Array[]): Relayed {
    const read = this.changes(frames);
    return 'refused' in read ? { messages: [], refused: read.refused } : { messages: toMessages(this.#pipeline.push(read.changes)) };
  }

  /** The same before it is merged, counted and numbered: what the message itself says. */
  changes(frames: readonly Uint8Array[], defaultRank = 0): { readonly changes: readonly PendingChange[] } | { readonly refused: string } {
    const [, sequence, payload] = frames;
    if (frames.length !== 3 || sequence?.length !== 8 || payload === undefined)
      return { refused: `a message of ${frames.length} frames with a sequence of ${sequence?.length ?? 0} bytes` };
    let batch: EngineBatch;
    try {
      batch = decodeEngineBatch(payload, defaultRank);
    } catch (error) {
      return { refused: error instanceof Error ? error.message : String(error) };
    }
    this.#ranks.add(batch.dpRank);
    const changes = batch.events.flatMap((event) => {
      const kept = this.#filter.keep(event, batch.dpRank);
      return kept === undefined ? [] : [this.#convert(kept, batch.dpRank)];
    });
    return { changes };
  }

  /** The ranks that have spoken. */
  get ranks(): ReadonlySet<number> {
    return this.#ranks;
  }

  /** The engine has begun anew: each of its ranks is empty. The messages that say so. */
  restart(): readonly (readonly RouterEvent[])[] {
    const changes = [...this.#ranks].map((dpRank): PendingChange => {
      this.#filter.keep({ type: 'cleared' }, dpRank);
      return { dpRank, tier: 'device', change: { type: 'cleared' } };
    });
    return toMessages(this.#pipeline.push(changes));
  }

  #convert(kept: KeptEvent, dpRank: number): PendingChange {
    const { event, tier } = kept;
    if (event.type === 'stored') {
      const change = convertStored(event, 'salt' in kept ? kept.salt : undefined, this.#options);
      return { dpRank, tier, change, ...(event.sessionId === undefined ? {} : { sessionId: event.sessionId }) };
    }
    return { dpRank, tier, change: event.type === 'removed' ? { type: 'removed', hashes: event.hashes } : { type: 'cleared' } };
  }
}
