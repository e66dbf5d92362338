import type { ChildProcess } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from '@dynamo/runtime';
import { UsageError } from '../usage.ts';
import { isReport, type WorkerReport } from './worker-report.ts';

/** How workers are kept running. */
export interface WorkerPoolOptions {
  readonly count: number;
  /** What messages call one; default `worker`. */
  readonly what?: string;
  /** Starts the process of worker `index`; it must have an IPC channel. */
  readonly launch: (index: number) => ChildProcess;
  readonly log: Logger;
  /** Told of each worker that can be called. */
  readonly onReady?: (index: number, worker: RunningWorker) => void;
  /** Wait before the first restart, in milliseconds; it doubles with each failure in a row. */
  readonly firstWaitMs?: number;
  /** A worker that ran this long has not failed in a row with the one before it, in milliseconds. */
  readonly steadyMs?: number;
  /** Failures in a row after which the pool gives up. */
  readonly patience?: number;
  /** How long a worker may drain before it is killed, in milliseconds. */
  readonly drainMs?: number;
}

/** A worker that can be called. */
export interface RunningWorker extends WorkerReport {
  readonly pid: number;
}

const defaults = { firstWaitMs: 500, longestWaitMs: 10_000, steadyMs: 10_000, patience: 5, drainMs: 35_000 };

/** Worker processes that are started again when they die. Disposing asks them to drain and waits for their ends. */
export class WorkerPool implements AsyncDisposable {
  readonly #options: WorkerPoolOptions;
  readonly #children = new Map<number, ChildProcess>();
  readonly #stopping = new AbortController();
  readonly #running = new Map<number, RunningWorker>();
  readonly #allReady = Promise.withResolvers<void>();
  readonly #failed = Promise.withResolvers<never>();
  #loops: readonly Promise<void>[] = [];

  constructor(options: WorkerPoolOptions) {
    this.#options = options;
    // Whoever waits sees it; nobody may be waiting when it happens.
    this.#failed.promise.catch(() => {});
  }

  /** The workers that can be called now, by number. */
  get running(): ReadonlyMap<number, RunningWorker> {
    return this.#running;
  }

  /** Settles when every worker has been ready once. */
  get allReady(): Promise<void> {
    return this.#allReady.promise;
  }

  /** Rejects when a worker can't be kept running. */
  get failed(): Promise<never> {
    return this.#failed.promise;
  }

  /** Starts the processes. */
  start(): void {
    this.#loops = Array.from({ length: this.#options.count }, (_, index) => this.#keep(index).catch(this.#failed.reject));
  }

  /** Kills every worker without a word: for a process that ends now. */
  kill(): void {
    this.#stopping.abort();
    for (const child of this.#children.values()) child.kill('SIGKILL');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort();
    for (const child of this.#children.values()) child.kill('SIGTERM');
    const timer = setTimeout(() => this.kill(), this.#options.drainMs ?? defaults.drainMs);
    await Promise.all(this.#loops);
    clearTimeout(timer);
  }

  async #keep(index: number): Promise<void> {
    const { signal } = this.#stopping;
    const { what = 'worker', patience = defaults.patience } = this.#options;
    let failures = 0;
    while (!signal.aborted) {
      const started = performance.now();
      const ended = await this.#run(index);
      if (signal.aborted) return;
      if (ended.code === 2) throw new UsageError(`${what} ${index + 1} could not start: its line above says why`);
      failures = performance.now() - started > (this.#options.steadyMs ?? defaults.steadyMs) ? 1 : failures + 1;
      if (failures >= patience) throw new Error(`${what} ${index + 1} ended ${failures} times in a row (last: ${ended.how}): giving up`);
      const retryMs = Math.min((this.#options.firstWaitMs ?? defaults.firstWaitMs) * 2 ** (failures - 1), defaults.longestWaitMs);
      this.#options.log.warn({ [what]: index + 1, ended: ended.how, retryMs }, `a ${what} has ended: starting it again`);
      await sleep(retryMs, undefined, { signal }).catch(() => {});
    }
  }

  /** One life of one worker. */
  #run(index: number): Promise<{ code: number | null; how: string }> {
    const child = this.#options.launch(index);
    this.#children.set(index, child);
    child.on('message', (message) => {
      if (!isReport(message)) return;
      const worker = { ...message, pid: child.pid ?? 0 };
      this.#running.set(index, worker);
      this.#options.onReady?.(index, worker);
      if (this.#running.size === this.#options.count) this.#allReady.resolve();
    });
    return new Promise((resolve) => {
      const end = (code: number | null, how: string): void => {
        this.#children.delete(index);
        this.#running.delete(index);
        resolve({ code, how });
      };
      child.once('error', (error) => end(null, error.message));
      child.once('exit', (code, signal) => end(code, signal ?? `exit code ${code}`));
    });
  }
}
