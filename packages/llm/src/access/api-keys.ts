import { timingSafeEqual } from 'node:crypto';
import { unwatchFile, watchFile } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { DynamoError, type Logger } from '@dynamo/runtime';
import { Account, type Allowance } from './account.ts';
import { hashKey, parseKeyFile } from './key-file.ts';

/** How a key file is followed. */
export interface ApiKeysOptions {
  readonly path: string;
  readonly log: Logger;
  /** Clock of the limits, in milliseconds; monotonic. */
  readonly now: () => number;
  /** How often the file is looked at, in milliseconds. */
  readonly lookMs?: number;
}

/** The keys of a file, read again whenever it changes; a text that can't be used leaves the keys as they were. */
export class ApiKeys implements AsyncDisposable {
  /** Told what a key's holder has spent of a limit. */
  onSpent: ((id: string, kind: Allowance['kind'], amount: number) => void) | undefined;
  readonly #options: ApiKeysOptions;
  /** By the first bytes of their hashes. */
  #accounts: ReadonlyMap<string, { readonly hash: Buffer; readonly account: Account }> = new Map();
  #reading: Promise<void> = Promise.resolve();
  readonly #onChange = (): void => void (this.#reading = this.#reading.then(() => this.#reload()));

  private constructor(options: ApiKeysOptions) {
    this.#options = options;
  }

  /**
   * Reads a key file and follows it.
   *
   * @throws DynamoError `invalid_argument` or `not_found` for a file that can't be used.
   */
  static async open(options: ApiKeysOptions): Promise<ApiKeys> {
    const keys = new ApiKeys(options);
    await keys.#read();
    // By looking, not by a watch: files that are replaced, mounted or linked are all seen.
    watchFile(options.path, { interval: options.lookMs ?? 1_000, persistent: false }, keys.#onChange);
    return keys;
  }

  get size(): number {
    return this.#accounts.size;
  }

  /** The holder of a key. The hashes are compared in constant time; which of them is compared depends on a hash that nobody can steer. */
  find(key: string): Account | undefined {
    const hash = hashKey(key);
    const found = this.#accounts.get(prefixOf(hash));
    return found !== undefined && timingSafeEqual(found.hash, hash) ? found.account : undefined;
  }

  /** Takes what a key's holder has spent elsewhere. */
  take(id: string, kind: Allowance['kind'], amount: number): void {
    for (const { account } of this.#accounts.values()) {
      if (account.entry.id === id) for (const allowance of account.allowances) if (allowance.kind === kind) allowance.bucket.give(-amount);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    unwatchFile(this.#options.path, this.#onChange);
    await this.#reading;
  }

  async #reload(): Promise<void> {
    const { log, path } = this.#options;
    try {
      await this.#read();
      log.info({ path, keys: this.size }, 'the API keys were read again');
    } catch (error) {
      log.error({ path, error: String(error) }, "the API keys can't be read: the former ones stay");
    }
  }

  async #read(): Promise<void> {
    const { path, now } = this.#options;
    const text = await readFile(path, 'utf8').catch((cause: unknown) => {
      const gone = (cause as NodeJS.ErrnoException).code === 'ENOENT';
      throw new DynamoError(
        gone ? 'not_found' : 'invalid_argument',
        gone ? `API keys not found: ${path}` : `API keys can't be read: ${String(cause)}`,
        { cause },
      );
    });
    const before = new Map([...this.#accounts.values()].map(({ account }) => [account.entry.id, account]));
    this.#accounts = new Map(
      parseKeyFile(path, text).map((entry) => {
        const hash = Buffer.from(entry.sha256, 'hex');
        return [
          prefixOf(hash),
          {
            hash,
            account: new Account(entry, now, { before: before.get(entry.id), spent: (kind, amount) => this.onSpent?.(entry.id, kind, amount) }),
          },
        ];
      }),
    );
  }
}

/** Half of a hash: as good as unique, and no more than that is looked up by value. */
const prefixOf = (hash: Buffer): string => hash.toString('latin1', 0, 16);
