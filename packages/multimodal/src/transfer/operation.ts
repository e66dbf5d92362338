/** How far an operation has come (spec nixl-connect 2). `cancelled` and `errored` are final, and so is `complete`. */
export type OperationStatus = 'initialized' | 'inProgress' | 'complete' | 'cancelled' | 'errored';

/** Waits for a promise, or leaves when the signal says so; the promise goes on. */
export async function whileWanted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return await promise;
  signal.throwIfAborted();
  const left = Promise.withResolvers<never>();
  const leave = (): void => left.reject(signal.reason);
  signal.addEventListener('abort', leave, { once: true });
  try {
    return await Promise.race([promise, left.promise]);
  } finally {
    signal.removeEventListener('abort', leave);
  }
}
