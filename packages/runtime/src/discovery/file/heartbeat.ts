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
  parentPort.postMessage(path);
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

/** Starts the thread. It does not keep the process alive. */
export function startHeartbeat(everyMs: number): Heartbeat {
  const worker = new Worker(source, { eval: true, workerData: { everyMs }, execArgv: [], env: {} });
  const waiting = new Map<string, (() => void)[]>();
  worker.on('message', (path: string) => waiting.get(path)?.shift()?.());
  worker.on('exit', () => {
    for (const resolvers of waiting.values()) for (const resolve of resolvers) resolve();
    waiting.clear();
  });
  worker.unref();
  const tell = (path: string, value: string | null): Promise<void> => {
    const { promise, resolve } = Promise.withResolvers<void>();
    waiting.set(path, [...(waiting.get(path) ?? []), resolve]);
    worker.postMessage({ path, value });
    return promise;
  };
  return {
    keep: (path, value) => tell(path, value),
    release: async (path) => {
      await tell(path, null);
      waiting.delete(path);
    },
    async [Symbol.asyncDispose]() {
      await worker.terminate();
    },
  };
}
