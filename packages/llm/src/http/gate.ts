import { overLimit } from './refusal.ts';

/** How many requests are answered at once, and how many may wait for that. */
export interface GateLimits {
  readonly concurrent: number;
  readonly queued: number;
  /** How long one may wait, in milliseconds. */
  readonly queueMs: number;
}

/** One place, which disposing gives back or takes out of the queue. */
export type Place = Disposable;

/** Whoever waits: told once, with an error where there will be no place. */
type Told = (error?: Error) => void;

/** Lets a number of requests in at once; the others wait in the order of their arrival, and what is beyond the queue is refused. */
export class RequestGate {
  readonly #limits: GateLimits;
  readonly #waiting = new Set<Told>();
  #running = 0;

  constructor(limits: GateLimits) {
    this.#limits = limits;
  }

  get running(): number {
    return this.#running;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  /** Asks for a place; `told` is called at once or later, unless the place is disposed before. */
  enter(told: Told): Place {
    const { concurrent, queued, queueMs } = this.#limits;
    if (this.#running < concurrent) {
      this.#running++;
      told();
      return once(() => this.#leave());
    }
    if (this.#waiting.size >= queued) {
      told(overLimit('Too many requests wait to be answered', { knob: 'DYN_HTTP_MAX_QUEUED_REQUESTS', measured: this.#waiting.size, limit: queued }));
      return once(() => {});
    }
    let inside = false;
    const settle: Told = (error) => {
      clearTimeout(timer);
      this.#waiting.delete(settle);
      inside = error === undefined;
      told(error);
    };
    const timer = setTimeout(() => {
      const passed = { knob: 'DYN_HTTP_QUEUE_TIMEOUT_SECS', measured: queueMs / 1_000, limit: queueMs / 1_000 };
      settle(overLimit(`No place among ${concurrent} running requests (DYN_HTTP_MAX_CONCURRENT_REQUESTS) came free in time, in seconds`, passed));
    }, queueMs);
    this.#waiting.add(settle);
    return once(() => {
      clearTimeout(timer);
      this.#waiting.delete(settle);
      if (inside) this.#leave();
    });
  }

  #leave(): void {
    this.#running--;
    const [next] = this.#waiting;
    if (next === undefined) return;
    this.#running++;
    next();
  }
}

function once(leave: () => void): Place {
  let left = false;
  return {
    [Symbol.dispose]() {
      if (left) return;
      left = true;
      leave();
    },
  };
}
