import { Worker } from 'node:worker_threads';

/**
 * Touches files at a fixed rhythm from a thread of its own, so that a busy event loop does not lose its registration;
 * ten silent seconds and other processes delete the files (spec runtime-wire 3.2).
 *
 * A file that has been deleted is written anew. The source is text, since a worker's file could not be found from both
 * the sources and the built package.
 */
const source = `
const { parentPort, workerData } = require('node:worker_threads');
const fs = require('node:fs');
const files = new Map();
parentPort.on('message', ({ path, value }) => {
  if (value === null) files.delete(path);
  else files.set(path, value);
  parentPort.postMessage(null);
});
setInterval(() => {
  const now = new Date();
  for (const [path, value] of files) {
    try { fs.utimesSync(path, now, now); }
    catch (error) {
      if (error.code !== 'ENOENT') continue;
      try { fs.writeFileSync(path, value, { flag: 'wx', mode: 0o644 }); } catch {}
    }
  }
}, workerData.everyMs);
`;

/** Keeps files alive until disposed. */
export interface Heartbeat extends AsyncDisposable {
  /** From now on the file is touched, and written anew with `value` when somebody deletes it. */
  keep(path: string, value: string): Promise<void>;
  /** From now on it is left alone; resolved when the thread has heard of it. */
  release(path: string): Promise<void>;
}

/** Starts the thread. It keeps the process alive only while an answer of it is awaited. */
export function startHeartbeat(everyMs: number): Heartbeat {
  const worker = new Worker(source, { eval: true, workerData: { everyMs }, execArgv: [], env: {} });
  // The thread answers in the order in which it is told.
  const waiting: (() => void)[] = [];
  let ended = false;
  worker.on('message', () => {
    waiting.shift()?.();
    if (waiting.length === 0) worker.unref();
  });
  worker.once('exit', () => {
    ended = true;
    for (const resolve of waiting.splice(0)) resolve();
  });
  worker.unref();
  const tell = (path: string, value: string | null): Promise<void> => {
    if (ended) return Promise.resolve();
    const { promise, resolve } = Promise.withResolvers<void>();
    if (waiting.push(resolve) === 1) worker.ref();
    worker.postMessage({ path, value });
    return promise;
  };
  return {
    keep: (path, value) => tell(path, value),
    release: (path) => tell(path, null),
    async [Symbol.asyncDispose]() {
      await worker.terminate();
    },
  };
}
