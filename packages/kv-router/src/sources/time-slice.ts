import { setImmediate as turn } from 'node:timers/promises';

/** How long one stretch of work may hold up everything else, in milliseconds, and after how many steps the clock is read. */
const limits = { ms: 2, steps: 8 } as const;

/** Cuts a long piece of work into stretches between which the event loop does what waits. */
export class TimeSlice {
  #began = performance.now();
  #steps = 0;

  /** Asked after each step. */
  isOver(): boolean {
    if (++this.#steps < limits.steps) return false;
    this.#steps = 0;
    return performance.now() - this.#began >= limits.ms;
  }

  /** Lets the others work, and begins anew. */
  async next(): Promise<void> {
    await turn();
    this.#began = performance.now();
  }
}
