import { randomUUID } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type KeptResponse, type ResponseStore, sizeOf } from './store.ts';

/** Names of responses, which are names of files: nothing else is looked for. */
const known = /^resp_[0-9a-f]{32}$/;

/** After an eviction the folder holds this part of what it may, so that not every response means another look at all of them. */
const afterEviction = 0.9;

/**
 * Keeps responses as files of one folder, which several processes may share and which outlives them.
 *
 * A file is written beside its place and moved there: whoever reads it sees all of it or nothing.
 */
export class FileResponses implements ResponseStore {
  readonly #folder: string;
  readonly #limit: number;
  readonly #failed: (error: unknown) => void;
  /** Responses on their way to the disk. */
  readonly #pending = new Map<string, KeptResponse>();
  #writing: Promise<void> = Promise.resolve();
  /** Bytes in the folder, as far as this process knows; undefined until it has looked. */
  #bytes: number | undefined;

  constructor({ folder, limitBytes, failed }: { folder: string; limitBytes: number; failed: (error: unknown) => void }) {
    this.#folder = folder;
    this.#limit = limitBytes;
    this.#failed = failed;
  }

  put(response: KeptResponse): void {
    if (sizeOf(response) > this.#limit) return;
    this.#pending.set(response.id, response);
    this.#writing = this.#writing
      .then(() => this.#write(response))
      .catch(this.#failed)
      .finally(() => {
        if (this.#pending.get(response.id) === response) this.#pending.delete(response.id);
      });
  }

  async get(id: string): Promise<KeptResponse | undefined> {
    const pending = this.#pending.get(id);
    if (pending !== undefined) return pending;
    if (!known.test(id)) return undefined;
    try {
      const kept = JSON.parse(await readFile(this.#path(id), 'utf8')) as KeptResponse;
      const now = new Date();
      await utimes(this.#path(id), now, now);
      return kept;
    } catch (error) {
      if (error instanceof SyntaxError) this.#failed(error);
      else if (!isMissing(error)) throw error;
      return undefined;
    }
  }

  async delete(id: string): Promise<boolean> {
    await this.#writing;
    if (!known.test(id)) return false;
    try {
      await rm(this.#path(id));
      return true;
    } catch (error) {
      if (isMissing(error)) return false;
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writing;
  }

  #path(id: string): string {
    return join(this.#folder, `${id}.json`);
  }

  async #write(response: KeptResponse): Promise<void> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    const text = JSON.stringify(response);
    const beside = join(this.#folder, `.${randomUUID()}.tmp`);
    await writeFile(beside, text, { mode: 0o600 });
    await rename(beside, this.#path(response.id));
    if (this.#bytes !== undefined) this.#bytes += Buffer.byteLength(text);
    if (this.#bytes === undefined || this.#bytes > this.#limit) await this.#evict();
  }

  /** Looks at all files, and removes those that were read or written longest ago while there are too many bytes. */
  async #evict(): Promise<void> {
    const files: { path: string; bytes: number; usedMs: number }[] = [];
    for (const name of await readdir(this.#folder)) {
      const path = join(this.#folder, name);
      if (!name.endsWith('.json')) continue;
      const facts = await stat(path).catch(() => undefined);
      if (facts !== undefined) files.push({ path, bytes: facts.size, usedMs: facts.mtimeMs });
    }
    let bytes = files.reduce((sum, file) => sum + file.bytes, 0);
    if (bytes > this.#limit) {
      for (const file of files.toSorted((a, b) => a.usedMs - b.usedMs)) {
        if (bytes <= this.#limit * afterEviction) break;
        await rm(file.path, { force: true });
        bytes -= file.bytes;
      }
    }
    this.#bytes = bytes;
  }
}

const isMissing = (error: unknown): boolean => (error as NodeJS.ErrnoException).code === 'ENOENT';
