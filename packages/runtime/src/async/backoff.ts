/** How long to wait between tries that keep failing. */
export interface Backoff {
  /** Milliseconds to wait before the next try. */
  next(): number;
  /** Begins anew: something has worked. */
  reset(): void;
}

/** Waits that double from `firstMs` up to `mostMs`, each shortened by up to a half, so that processes which failed together don't return together. */
export function backoff(options: { firstMs: number; mostMs: number; random?: () => number }): Backoff {
  const { firstMs, mostMs, random = Math.random } = options;
  let ceiling = firstMs;
  return {
    next() {
      const wait = ceiling * (1 - random() / 2);
      ceiling = Math.min(mostMs, ceiling * 2);
      return wait;
    },
    reset() {
      ceiling = firstMs;
    },
  };
}
