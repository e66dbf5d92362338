import { TimeHeap } from './time-heap.ts';
import type { Turn, Workload } from './trace/turn.ts';

/** Which requests come next: those of the workload at their times, later turns after their pause, or as many as are wanted at once. */
export class Arrivals {
  readonly #workload: Workload;
  readonly #later = new TimeHeap<Turn>();
  #ahead: readonly Turn[] = [];
  #at = 0;
  #ended = false;
  #numbers = 0;

  constructor(workload: Workload) {
    this.#workload = workload;
  }

  /** Whether the next first turn is in memory, or there is none: otherwise `read`. */
  get ready(): boolean {
    return this.#ended || this.#at < this.#ahead.length;
  }

  async read(): Promise<void> {
    this.#ahead = await this.#workload.read();
    this.#at = 0;
    this.#ended = this.#ahead.length === 0;
  }

  /** When the next one comes; Infinity when none is known. Sessions that go on always may; new ones only where there is room. */
  timeOf(hasRoom: boolean): number {
    const first = hasRoom ? this.#ahead[this.#at] : undefined;
    return Math.min(first === undefined ? Infinity : (first.arrivalMs ?? 0), this.#later.time);
  }

  /** Nothing comes any more. */
  get done(): boolean {
    return this.#ended && this.#later.size === 0;
  }

  /** Takes the next one that has come by now. */
  take(nowMs: number, hasRoom: boolean): Turn | undefined {
    const first = hasRoom ? this.#ahead[this.#at] : undefined;
    const firstMs = first === undefined ? Infinity : (first.arrivalMs ?? 0);
    if (this.#later.time <= nowMs && (this.#later.time <= firstMs || first?.arrivalMs === undefined)) return this.#later.pop();
    if (firstMs > nowMs) return undefined;
    this.#at++;
    return first;
  }

  /** A turn has ended: its session goes on after its pause. */
  ended({ next }: Turn, atMs: number): void {
    if (next !== undefined) this.#later.push(atMs + next.delayMs, this.#numbers++, next);
  }
}
