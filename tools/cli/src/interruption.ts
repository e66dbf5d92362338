/** Longest time in which repeats of one Ctrl-C may arrive, in milliseconds. */
const repeatMs = 500;

/** That somebody asked this process to end. */
export interface Interruption extends Disposable {
  /** Aborts with the first SIGINT or SIGTERM. */
  readonly signal: AbortSignal;
  /** Settles with the signal's name, or `disconnect` when the parent has gone. */
  readonly asked: Promise<string>;
}

/**
 * Watches for SIGINT and SIGTERM: the first asks for a drain, a second one ends the process at once with `exitNow`.
 *
 * Under `npm start` one Ctrl-C arrives several times: from the terminal and from each process in between that passes it
 * on. What follows the first within half a second is therefore the same request and not an impatient second one.
 */
export function watchInterruption(exitNow: () => void = () => process.exit(130)): Interruption {
  const controller = new AbortController();
  const { promise: asked, resolve } = Promise.withResolvers<string>();
  let first: number | undefined;
  const onSignal = (name: string): void => {
    const now = performance.now();
    if (first !== undefined && now - first > repeatMs) return exitNow();
    first ??= now;
    begin(name);
  };
  const begin = (name: string): void => {
    controller.abort();
    resolve(name);
  };
  const onDisconnect = (): void => begin('disconnect');
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal).on('disconnect', onDisconnect);
  return {
    signal: controller.signal,
    asked,
    [Symbol.dispose]: () => void process.off('SIGINT', onSignal).off('SIGTERM', onSignal).off('disconnect', onDisconnect),
  };
}
