import { byKey, differences } from './changes.ts';
import type { DiscoveryChange, DiscoveryRecord } from './discovery.ts';

/** Where a watch learns that something may have changed. */
export interface Tidings {
  /** Rings `bell` at every possible change until disposed. */
  subscribe(ring: () => void): Disposable;
}

/**
 * Makes a watch out of "something may have changed" and "list what is there".
 *
 * It holds the last picture and no queue: changes that cancel out between two looks are never told, and the state that
 * they lead to always is.
 */
export async function* follow(
  tidings: Tidings,
  look: () => Promise<readonly DiscoveryRecord[]>,
  options: { signal: AbortSignal },
): AsyncGenerator<DiscoveryChange> {
  const { signal } = options;
  if (signal.aborted) return;
  let wake = Promise.withResolvers<void>();
  const ring = (): void => wake.resolve();
  signal.addEventListener('abort', ring, { once: true });
  using _subscription = tidings.subscribe(ring);
  try {
    let known = byKey(await look());
    yield { type: 'snapshot', records: [...known.values()] };
    while (!signal.aborted) {
      await wake.promise;
      if (signal.aborted) return;
      wake = Promise.withResolvers<void>();
      const now = byKey(await look());
      yield* differences(known, now);
      known = now;
    }
  } finally {
    signal.removeEventListener('abort', ring);
  }
}
