import type { Logger } from '@dynamo/runtime';

/** Frames of one message of an engine: topic, sequence in 8 bytes, batch. */
export type EngineMessage = readonly Uint8Array[];

/** Asks for the messages that an engine still has, from a sequence on. Ends at the engine's end marker; throws when it says nothing. */
export type AskReplay = (start: bigint) => AsyncIterable<EngineMessage>;

/** What a run of messages is handed to, and who tells of it. */
export interface EngineOrderOptions {
  /** Each message once, in the order of the engine. */
  readonly deliver: (message: EngineMessage) => void;
  /** The engine counts from 0 again: what it had cached is gone. Told before its first message. */
  readonly restarted: () => void;
  /** Absent where the engine has no replay socket: then a gap is only told. */
  readonly replay?: AskReplay;
  /** Nothing is delivered any more once it aborts. */
  readonly signal: AbortSignal;
  readonly log: Logger;
}

/**
 * Puts an engine's messages into its own order (spec kv-router 14.5): what a gap skips is asked for and delivered before what
 * came behind it, what comes twice is left out, and what the engine no longer has is said.
 *
 * An engine that starts again counts from 0. The real indexer takes its messages for old ones and drops them until the count
 * has caught up; here the rank begins anew.
 */
export class EngineOrder {
  readonly #options: EngineOrderOptions;
  #next = 0n;
  /** The newest batch: the same number with another content is another engine's. */
  #last: Uint8Array | undefined;
  #lost = 0n;

  constructor(options: EngineOrderOptions) {
    this.#options = options;
  }

  /** How many messages can't be had any more. */
  get lost(): bigint {
    return this.#lost;
  }

  /** Takes the next live message; resolves when it and all that was missing before it are delivered. One call at a time. */
  async take(message: EngineMessage): Promise<void> {
    const sequence = sequenceOf(message);
    // What has no number is refused by whoever reads it.
    if (sequence === undefined) return this.#options.deliver(message);
    if (sequence < this.#next) {
      if (sequence === this.#next - 1n && this.#last !== undefined && Buffer.compare(this.#last, message[2] ?? this.#last) === 0) return;
      this.#restart(sequence);
    }
    if (sequence > this.#next) await this.#fill(sequence);
    if (this.#options.signal.aborted) return;
    this.#pass(message, sequence);
  }

  #restart(sequence: bigint): void {
    this.#options.log.warn({ expected: this.#next, sequence }, "an engine's event sequence began again: its cache counts as empty");
    this.#next = 0n;
    this.#last = undefined;
    this.#options.restarted();
  }

  /** Delivers what the engine has of the messages before `end`, and says what it has not. */
  async #fill(end: bigint): Promise<void> {
    const { replay, log, signal } = this.#options;
    const start = this.#next;
    let missed = 0n;
    let why = replay === undefined ? 'there is no replay endpoint' : 'the engine no longer has them';
    try {
      for await (const message of replay?.(start) ?? []) {
        const sequence = sequenceOf(message);
        // From `end` on they come live; what was delivered is not told twice.
        if (sequence === undefined || sequence < this.#next || sequence >= end) continue;
        missed += sequence - this.#next;
        this.#pass(message, sequence);
      }
    } catch (error) {
      why = error instanceof Error ? error.message : String(error);
    }
    if (signal.aborted) return;
    missed += end - this.#next;
    this.#next = end;
    this.#lost += missed;
    const facts = { start, end, missed, lost: this.#lost };
    if (missed === 0n) log.info(facts, "a gap in an engine's events was filled from its replay socket");
    else log.warn({ ...facts, why }, 'events of an engine are lost: routers may believe what its cache no longer holds');
  }

  #pass(message: EngineMessage, sequence: bigint): void {
    this.#next = sequence + 1n;
    this.#last = message[2];
    this.#options.deliver(message);
  }
}

/** The number of a message; undefined for one that has none. */
function sequenceOf(message: EngineMessage): bigint | undefined {
  const [, sequence] = message;
  if (message.length !== 3 || sequence?.length !== 8) return undefined;
  return Buffer.from(sequence.buffer, sequence.byteOffset, 8).readBigUInt64BE();
}
