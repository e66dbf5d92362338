import { DynamoError } from '../error.ts';
import type { Instance } from '../endpoint/instance.ts';
import type { ResponseStream } from '../planes/response/response-plane.ts';
import type { InstanceSet } from './instances.ts';
import type { CallOptions } from './types.ts';

/** How much longer a call-home is waited for, in milliseconds, if the event loop was busy when its time was over. */
const graceMs = 50;

/**
 * Ends a call's stream on everything that may end it from outside: its signal, its limits, its instance's departure.
 *
 * Disposing lets go of all of them and leaves the stream. The two timers cost about half a microsecond a call, which a
 * shared wheel would not save.
 */
export function watchCall(
  stream: ResponseStream,
  options: { instance: Instance; call: CallOptions; set: InstanceSet; callHomeMs: number },
): Disposable {
  const { instance, call, set, callHomeMs } = options;
  const { signal, timeoutMs } = call;
  // A busy event loop runs late timers first: the worker's connection may be waiting to be accepted and read.
  let home = setTimeout(() => {
    if (!stream.attached) home = setTimeout(giveUp, graceMs);
  }, callHomeMs);
  const giveUp = (): void => {
    if (stream.attached) return;
    stream.fail(new DynamoError('connection_timeout', `instance ${instance.id} took the request and did not call home within ${callHomeMs} ms`));
  };
  const whole =
    timeoutMs === undefined
      ? undefined
      : setTimeout(() => stream.fail(new DynamoError('response_timeout', `no complete answer within ${timeoutMs} ms`)), timeoutMs);
  const gone = set.onGone((id) => {
    if (id !== instance.id || stream.attached) return;
    stream.fail(new DynamoError('disconnected', 'Worker disconnected before response stream was established'));
  });
  const onAbort = (): void => {
    const error = cancelled(signal);
    stream.fail(error, error.data['kind'] === 'kill' ? 'kill' : 'stop');
  };
  signal?.addEventListener('abort', onAbort, { once: true });
  return {
    [Symbol.dispose]() {
      clearTimeout(home);
      if (whole !== undefined) clearTimeout(whole);
      gone[Symbol.dispose]();
      signal?.removeEventListener('abort', onAbort);
      stream.leave();
    },
  };
}

/** Throws when the caller has given up already; a signal that has aborted tells nobody any more. */
export function throwIfCancelled(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) throw cancelled(signal);
}

const cancelled = (signal: AbortSignal | undefined): DynamoError =>
  DynamoError.is(signal?.reason, 'cancelled') ? signal.reason : new DynamoError('cancelled', 'the call was cancelled', { cause: signal?.reason });
