import type { Stats } from 'node:fs';
import { mkdir, readdir, readFile, stat, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { InstanceId } from '../../endpoint/instance.ts';
import { DynamoError } from '../../error.ts';
import type { Logger } from '../../log.ts';
import { isRecord } from '../changes.ts';
import type { Bucket, DiscoveryRecord } from '../discovery.ts';
import { FolderWatch, type OpenNotices } from './folder-watch.ts';
import { keyOf, temporaryPrefix } from './names.ts';

interface Seen {
  readonly mtimeMs: number;
  readonly size: number;
  /** A value that is written over is another file of perhaps the same time and size. */
  readonly ino: number;
  readonly record: DiscoveryRecord | undefined;
}

/** Largest record that is read, in bytes: model cards with their templates take some hundred kilobytes. */
const maxRecordBytes = 16 * 1024 * 1024;

/** How many files are read at once: each costs a descriptor while it lasts. */
const filesAtOnce = 64;

/** One bucket's folder: lists its live records and tells when they may have changed. */
export class BucketFolder implements Disposable {
  readonly path: string;
  /** Tells when the folder may have changed. */
  readonly changes: FolderWatch;
  readonly #bucket: Bucket;
  readonly #log: Logger;
  readonly #ttlMs: number;
  readonly #cache = new Map<string, Seen>();
  /** Files that have had their log line. */
  readonly #complained = new Set<string>();

  constructor(root: string, bucket: Bucket, options: { log: Logger; ttlMs: number; notices?: OpenNotices | undefined }) {
    this.path = join(root, bucket);
    this.changes = new FolderWatch(this.path, options);
    this.#bucket = bucket;
    this.#log = options.log;
    this.#ttlMs = options.ttlMs;
  }

  /**
   * The records whose files are younger than the time to live. A file that can't be read is left out with one log line.
   *
   * @throws DynamoError `unavailable` when the folder itself can't be read.
   */
  async list(): Promise<DiscoveryRecord[]> {
    const names = await this.#names();
    const present = new Set(names);
    for (const name of this.#cache.keys()) if (!present.has(name)) this.#cache.delete(name);
    for (const name of this.#complained) if (!present.has(name)) this.#complained.delete(name);
    const records: DiscoveryRecord[] = [];
    for (let at = 0; at < names.length; at += filesAtOnce) {
      const read = await Promise.all(names.slice(at, at + filesAtOnce).map((name) => this.#read(name)));
      for (const record of read) if (record !== undefined) records.push(record);
    }
    return records;
  }

  /** Deletes the files of processes that have died. */
  async expire(): Promise<void> {
    for (const name of await this.#names()) {
      try {
        await this.expireOne(name);
      } catch (error) {
        this.#complain(name, { error: String(error) }, 'could not remove a record whose owner has stopped');
      }
    }
  }

  /** Deletes one file if its process has died. */
  async expireOne(name: string): Promise<void> {
    const path = join(this.path, name);
    const found = await stat(path).catch(ignoreMissing);
    if (found === undefined || !found.isFile() || !this.#isOld(found)) return;
    await unlink(path).catch(ignoreMissing);
    this.#log.info({ file: name, ageMs: Math.round(Date.now() - found.mtimeMs) }, 'removed a record whose owner has stopped');
    this.changes.ring();
  }

  [Symbol.dispose](): void {
    this.changes[Symbol.dispose]();
  }

  async #names(): Promise<string[]> {
    try {
      return (await readdir(this.path).catch(ignoreMissing)) ?? [];
    } catch (error) {
      throw fromFileError(error, this.path);
    }
  }

  async #read(name: string): Promise<DiscoveryRecord | undefined> {
    if (name.startsWith(temporaryPrefix)) return undefined;
    const key = keyOf(name);
    if (key === undefined) return this.#complain(name, {}, 'ignored a file whose name is no discovery key');
    const path = join(this.path, name);
    const seen = this.#cache.get(name);
    try {
      const found = await stat(path).catch(ignoreMissing);
      if (found === undefined || this.#isOld(found)) return undefined;
      // A heartbeat moves the time and nothing else; records never change in place without changing their time too.
      if (seen !== undefined && seen.mtimeMs === found.mtimeMs && seen.size === found.size && seen.ino === found.ino) return seen.record;
      const value = found.isFile() && found.size <= maxRecordBytes ? await readFile(path, 'utf8').catch(ignoreMissing) : '';
      if (value === undefined) return undefined;
      const record = isRecord(value) ? { bucket: this.#bucket, key, value: this.#bucket === 'values' ? unwrapped(value) : value } : undefined;
      this.#cache.set(name, { mtimeMs: found.mtimeMs, size: found.size, ino: found.ino, record });
      if (record === undefined) return this.#complain(name, { bytes: found.size }, 'ignored a discovery file that is no record');
      this.#complained.delete(name);
      return record;
    } catch (error) {
      this.#complain(name, { error: String(error) }, 'could not read a discovery file');
      // For want of a descriptor, say: what was known of it stands until it can be read.
      return seen?.record;
    }
  }

  #isOld(found: Stats): boolean {
    return Date.now() - found.mtimeMs > this.#ttlMs;
  }

  #complain(name: string, fields: Readonly<Record<string, unknown>>, message: string): undefined {
    if (this.#complained.has(name)) return;
    this.#complained.add(name);
    this.#log.warn({ file: name, bucket: this.#bucket, ...fields }, message);
  }
}

/** A plain value as the file of a record, so that whoever reads the folder finds what it knows. */
export const wrapped = (value: string, writer: InstanceId): string => JSON.stringify({ type: 'Value', writer: writer.toString(16), value });

const unwrapped = (content: string): string => String((JSON.parse(content) as { value?: unknown }).value ?? '');

/** Makes a bucket's folder. */
export const makeFolder = async (path: string): Promise<void> => {
  try {
    await mkdir(path, { recursive: true });
  } catch (error) {
    throw fromFileError(error, path);
  }
};

/** Turns what the file system says into an error of ours. */
export const fromFileError = (error: unknown, path: string): DynamoError =>
  new DynamoError('unavailable', `discovery folder ${path}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });

/** Others delete files under our hands at any time: gone is an answer, not a failure. */
export function ignoreMissing(error: unknown): undefined {
  if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
  throw error;
}
