/** How many requests run and wait at once in one runtime (spec runtime-wire 2). */
export interface Admission {
  /** Runs `work` now or when a place is free; false when running and waiting places are all taken. */
  admit(work: () => Promise<void>): boolean;
}

/** Makes an admission with `concurrency` running places and `queue` waiting ones. */
export function createAdmission(limits: { concurrency: number; queue: number }): Admission {
  const waiting: (() => Promise<void>)[] = [];
  let running = 0;
  const start = (work: () => Promise<void>): void => {
    running++;
    // `work` never rejects: runRequest tells the caller of every failure itself.
    void work().finally(() => {
      running--;
      const next = waiting.shift();
      if (next !== undefined) start(next);
    });
  };
  return {
    admit(work) {
      if (running < limits.concurrency) start(work);
      else if (waiting.length < limits.queue) waiting.push(work);
      else return false;
      return true;
    },
  };
}
