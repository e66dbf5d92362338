import { DynamoError } from '../error.ts';
import type { Instance } from '../endpoint/instance.ts';
import type { ResponseStream } from '../planes/response/response-plane.ts';
import type { InstanceSet } from './instances.ts';
import type { CallOptions } from './types.ts';

/** How much longer a call-home is waited for, in milliseconds, if the event loop was busy when its time was over. */
const graceMs = 50;

/**
 * How long a worker that has left discovery may take to call home, in milliseconds.
 *
 * One that pauses to drain still answers what it has taken, and its caller must not hear of a failure; one that has died
 * does not come, and the real system's error is told this much later than there.
 */
const departureMs = 1_000;

/** What ends a call from outside. Disposing lets go of all of it and leaves the stream. */
export interface CallWatch extends Disposable {
  /** The reader waits for an item from now on. */
  waiting(): void;
  /** Items came: the time until the reader asks for more is its own. */
  arrived(): void;
}

/**
 * Ends a call's stream on everything that may end it from outside: its signals, its limits, its instance's departure.
 *
 * The timers cost about half a microsecond a call, which a shared wheel would not save; limits that nobody set cost nothing.
 */
export function watchCall(
  stream: ResponseStream,
  options: { instance: Instance; call: CallOptions; set: InstanceSet; callHomeMs: number; attached: () => boolean },
): CallWatch {
  const { instance, call, set, callHomeMs, attached } = options;
  const { timeoutMs } = call;
  // A busy event loop runs late timers first: the worker's connection may be waiting to be accepted and read.
  let home = setTimeout(() => {
    if (!attached()) home = setTimeout(giveUp, graceMs);
  }, callHomeMs);
  const giveUp = (): void => {
    if (attached()) return;
    const why = `instance ${instance.id} took the request and did not call home within ${callHomeMs} ms`;
    stream.fail(new DynamoError('connection_timeout', why, { data: { limit: 'callHome', ms: callHomeMs } }));
  };
  const whole = timeoutMs === undefined ? undefined : setTimeout(() => stream.fail(tooLong(timeoutMs)), timeoutMs);
  let departure: NodeJS.Timeout | undefined;
  const gone = set.onGone((id) => {
    if (id !== instance.id || attached()) return;
    departure ??= setTimeout(() => {
      if (!attached()) stream.fail(new DynamoError('disconnected', 'Worker disconnected before response stream was established'));
    }, departureMs);
  });
  const clock = ItemClock.of(call, stream);
  const unfollow = signalsOf(call).map((signal) => {
    const onAbort = (): void => {
      const error = cancelled(signal);
      stream.fail(error, error.data['kind'] === 'kill' ? 'kill' : 'stop');
    };
    signal.addEventListener('abort', onAbort, { once: true });
    return () => signal.removeEventListener('abort', onAbort);
  });
  return {
    waiting: () => clock?.start(),
    arrived: () => clock?.pause(),
    [Symbol.dispose]() {
      clearTimeout(home);
      clearTimeout(whole);
      clearTimeout(departure);
      clock?.stop();
      gone[Symbol.dispose]();
      for (const leave of unfollow) leave();
      stream.leave();
    },
  };
}

/** Throws when the caller has given up already; a signal that has aborted tells nobody any more. */
export function throwIfCancelled(call: CallOptions): void {
  for (const signal of signalsOf(call)) if (signal.aborted) throw cancelled(signal);
}

/** Whether the caller has asked the worker to stop, and not to end at once. */
export const isStopped = (call: CallOptions): boolean =>
  signalsOf(call).some((signal) => signal.aborted && cancelled(signal).data['kind'] !== 'kill');

/** Limits on the wait for items. One timer, pushed back at each wait. */
class ItemClock {
  readonly #call: { firstItemMs: number | undefined; idleMs: number | undefined };
  readonly #stream: ResponseStream;
  #timer: NodeJS.Timeout | undefined;
  /** Counts waits and arrivals: odd while the reader waits. */
  #turn = 0;

  private constructor(call: { firstItemMs: number | undefined; idleMs: number | undefined }, stream: ResponseStream) {
    this.#call = call;
    this.#stream = stream;
  }

  static of({ idleMs, firstItemMs = idleMs }: CallOptions, stream: ResponseStream): ItemClock | undefined {
    return firstItemMs === undefined && idleMs === undefined ? undefined : new ItemClock({ firstItemMs, idleMs }, stream);
  }

  start(): void {
    const { firstItemMs, idleMs } = this.#call;
    const first = this.#turn++ === 0;
    if (first) this.#timer = firstItemMs === undefined ? undefined : this.#arm('firstItem', firstItemMs);
    else if (this.#turn === 3) this.#timer = idleMs === undefined ? undefined : this.#arm('idle', idleMs);
    else this.#timer?.refresh();
  }

  pause(): void {
    if (this.#turn++ === 1) this.stop();
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  #arm(limit: 'firstItem' | 'idle', ms: number): NodeJS.Timeout {
    return setTimeout(() => {
      const turn = this.#turn;
      if (turn % 2 === 0) return;
      // What has come while the event loop was busy is read first.
      setImmediate(() => {
        if (turn === this.#turn)
          this.#stream.fail(new DynamoError('response_timeout', `no ${wanted[limit]} within ${ms} ms`, { data: { limit, ms } }));
      });
    }, ms);
  }
}

const wanted = { firstItem: 'first item', idle: 'item' } as const;

const tooLong = (ms: number): DynamoError =>
  new DynamoError('deadline_exceeded', `no complete answer within ${ms} ms`, { data: { limit: 'call', ms } });

const signalsOf = ({ signal, context }: CallOptions): AbortSignal[] => {
  const parent = context?.signal;
  if (signal === undefined) return parent === undefined ? [] : [parent];
  return parent === undefined || parent === signal ? [signal] : [signal, parent];
};

const cancelled = (signal: AbortSignal): DynamoError =>
  DynamoError.is(signal.reason, 'cancelled') ? signal.reason : new DynamoError('cancelled', 'the call was cancelled', { cause: signal.reason });
