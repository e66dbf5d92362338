import { readdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { batchesOf } from '../../../async/batches.ts';
import type { EventChange, EventPlane, EventScope } from '../event-plane.ts';

/** A subscription whose changes are kept as they come. */
export class Listener implements AsyncDisposable {
  readonly changes: EventChange[] = [];
  batches = 0;
  readonly #stop = new AbortController();
  readonly #ended: Promise<void>;
  #error: unknown;

  constructor(plane: EventPlane, scope: EventScope, topic: string) {
    this.#ended = this.#run(plane, scope, topic).catch((error: unknown) => void (this.#error = error));
  }

  /** The changes in few words: `joined`, `event 3 text`, `gap 4-6`, `left`. */
  words(of?: bigint): string[] {
    return this.changes.filter((change) => of === undefined || change.publisher === of).map(inWords);
  }

  /** Sequences of the events that came. */
  sequences(of?: bigint): number[] {
    return this.changes.flatMap((change) => (change.type === 'event' && (of === undefined || change.publisher === of) ? change.sequence : []));
  }

  /** Waits until the changes are as they should be. */
  async until(holds: () => boolean): Promise<void> {
    const limit = performance.now() + 15_000;
    while (!holds()) {
      if (this.#error !== undefined) throw this.#error;
      if (performance.now() > limit) throw new Error(`it did not come; what came: ${this.words().slice(-20).join(', ')}`);
      await sleep(2);
    }
  }

  /**
   * Waits until a publisher is heard; by its greetings where nothing else tells. Forgets what came so far.
   *
   * `greet` sends one message and returns its sequence.
   */
  async meet(publisher: bigint, greet?: () => number): Promise<void> {
    let last: number | undefined;
    for (let turn = 0; turn < 500 && !this.changes.some((change) => change.publisher === publisher); turn++) {
      last = greet?.();
      await sleep(20);
    }
    await this.until(() =>
      last === undefined ? this.changes.some((change) => change.publisher === publisher) : this.sequences(publisher).at(-1) === last,
    );
    this.changes.length = 0;
  }

  /** Resolves when the loop has ended by itself. */
  get ended(): Promise<void> {
    return this.#ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#ended;
  }

  async #run(plane: EventPlane, scope: EventScope, topic: string): Promise<void> {
    for await (const batch of batchesOf(plane.subscribe(scope, topic, { signal: this.#stop.signal }))) {
      this.batches++;
      this.changes.push(...batch);
    }
  }
}

function inWords(change: EventChange): string {
  if (change.type === 'event') return `event ${change.sequence} ${Buffer.from(change.payload).toString()}`;
  return change.type === 'gap' ? `gap ${change.from}-${change.to}` : change.type;
}

/** How many descriptors this process has open: sockets of a native library are seen nowhere else. */
export const openDescriptors = (): number => readdirSync('/proc/self/fd').length;
