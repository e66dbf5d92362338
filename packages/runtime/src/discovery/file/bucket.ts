import { type FSWatcher, watch } from 'node:fs';
import { mkdir, readdir, readFile, stat, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from '../../log.ts';
import type { Bucket, DiscoveryRecord } from '../discovery.ts';
import type { Tidings } from '../follow.ts';
import { keyOf } from './names.ts';

interface Seen {
  readonly mtimeMs: number;
  readonly size: number;
  readonly record: DiscoveryRecord | undefined;
}

/** How often a watched folder is looked at when the kernel's notices fail, in milliseconds. */
const pollMs = 500;

/** How often it is looked at although the notices work: they can be lost, and files expire without one. */
const safetyPollMs = 2_000;

/** One bucket's folder: lists its live records and tells when they may have changed. One watcher, however many subscribers. */
export class BucketFolder implements Tidings, Disposable {
  readonly path: string;
  readonly #bucket: Bucket;
  readonly #log: Logger;
  readonly #ttlMs: number;
  readonly #cache = new Map<string, Seen>();
  readonly #listeners = new Set<() => void>();
  #watcher: FSWatcher | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(root: string, bucket: Bucket, options: { log: Logger; ttlMs: number }) {
    this.path = join(root, bucket);
    this.#bucket = bucket;
    this.#log = options.log;
    this.#ttlMs = options.ttlMs;
  }

  /** The records whose files are younger than the time to live. What can't be read is left out with one log line. */
  async list(): Promise<DiscoveryRecord[]> {
    const names = await readdir(this.path).catch(ignoreMissing);
    const present = new Set(names);
    for (const name of this.#cache.keys()) if (!present.has(name)) this.#cache.delete(name);
    const records = await Promise.all((names ?? []).map((name) => this.#read(name)));
    return records.filter((record) => record !== undefined);
  }

  /** Deletes the files of processes that have died. */
  async expire(): Promise<void> {
    for (const name of (await readdir(this.path).catch(ignoreMissing)) ?? []) {
      const path = join(this.path, name);
      const found = await stat(path).catch(ignoreMissing);
      if (found === undefined || Date.now() - found.mtimeMs <= this.#ttlMs) continue;
      await unlink(path).catch(ignoreMissing);
      this.#log.info({ file: name, ageMs: Math.round(Date.now() - found.mtimeMs) }, 'removed a record whose owner has stopped');
      this.#ring();
    }
  }

  subscribe(ring: () => void): Disposable {
    this.#listeners.add(ring);
    this.#start();
    return {
      [Symbol.dispose]: () => {
        this.#listeners.delete(ring);
        if (this.#listeners.size === 0) this[Symbol.dispose]();
      },
    };
  }

  [Symbol.dispose](): void {
    this.#watcher?.close();
    this.#watcher = undefined;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  async #read(name: string): Promise<DiscoveryRecord | undefined> {
    const key = keyOf(name);
    const path = join(this.path, name);
    const found = key === undefined ? undefined : await stat(path).catch(ignoreMissing);
    if (key === undefined || found === undefined || Date.now() - found.mtimeMs > this.#ttlMs) return undefined;
    const seen = this.#cache.get(name);
    // A heartbeat moves the time and nothing else; records never change in place without changing their time too.
    if (seen !== undefined && seen.mtimeMs === found.mtimeMs && seen.size === found.size) return seen.record;
    const value = await readFile(path, 'utf8').catch(ignoreMissing);
    if (value === undefined) return undefined;
    const record = isRecord(value) ? { bucket: this.#bucket, key, value } : undefined;
    if (record === undefined && (seen === undefined || seen.record !== undefined))
      this.#log.warn({ file: name, bytes: found.size }, 'ignored a discovery file that is no record');
    this.#cache.set(name, { mtimeMs: found.mtimeMs, size: found.size, record });
    return record;
  }

  #start(): void {
    if (this.#timer !== undefined) return;
    const polling = (everyMs: number): void => {
      clearInterval(this.#timer);
      this.#timer = setInterval(() => this.#ring(), everyMs).unref();
    };
    polling(safetyPollMs);
    try {
      this.#watcher = watch(this.path, { persistent: false }, () => this.#ring());
      this.#watcher.on('error', (error) => fallBack(error));
    } catch (error) {
      fallBack(error);
    }
    const log = this.#log;
    function fallBack(error: unknown): void {
      // The kernel's notices are few and other processes hold many (EMFILE, ENOSPC): looking often works everywhere.
      log.warn({ error: String(error), everyMs: pollMs }, 'polls the discovery folder');
      polling(pollMs);
    }
  }

  #ring(): void {
    for (const ring of this.#listeners) ring();
  }
}

/** Makes a bucket's folder. */
export const makeFolder = async (path: string): Promise<void> => void (await mkdir(path, { recursive: true }));

function isRecord(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && typeof (value as { type?: unknown }).type === 'string';
  } catch {
    return false;
  }
}

/** Others delete files under our hands at any time: gone is an answer, not a failure. */
export function ignoreMissing(error: unknown): undefined {
  if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
  throw error;
}
