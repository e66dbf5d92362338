/** Milliseconds that only grow, such as `performance.now`: time is an argument of everything that counts it. */
export type Clock = () => number;

/** Runs a callback once after a delay; what it returns calls it off. */
export type Timer = (callback: () => void, delayMs: number) => () => void;

/** The timers of the process; none of them keeps it alive. */
export const processTimer: Timer = (callback, delayMs) => {
  const timer = setTimeout(callback, delayMs);
  timer.unref();
  return () => clearTimeout(timer);
};
