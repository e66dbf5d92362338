import { setTimeout as sleep } from 'node:timers/promises';
import { backoff } from '../../async/backoff.ts';
import type { InstanceId } from '../../endpoint/instance.ts';
import { DynamoError } from '../../error.ts';
import type { Logger } from '../../log.ts';
import type { DiscoveryRecord } from '../discovery.ts';
import type { EtcdConnection } from './connection.ts';
import { fromEtcdError, isLeaseLost, isRefusal } from './errors.ts';
import { pathOf } from './records.ts';

/** What registrations need. */
export interface RegistrationParts {
  readonly connection: EtcdConnection;
  readonly endpoints: readonly string[];
  readonly lease: InstanceId;
  readonly ttlSeconds: number;
  readonly log: Logger;
  /** Called when etcd refuses for good to let us back. */
  readonly onRefused: (error: DynamoError) => void;
}

/** One record that this runtime wants to be there. */
interface Registration {
  readonly path: string;
  readonly value: string;
  /** A plain value: whoever writes later wins, also while it is put back. */
  readonly yields?: true;
}

/** How long to wait before doing again what has failed, in milliseconds. */
const retry = { firstMs: 200, mostMs: 2_000 } as const;

/** The records of one runtime: all hang on its lease, and all come back under the same lease id when etcd has lost it. */
export class Registrations {
  readonly #parts: RegistrationParts;
  readonly #own = new Map<string, Registration>();
  /** What happens to one key happens in turn. */
  readonly #turns = new Map<string, Promise<void>>();
  readonly #stop = new AbortController();
  readonly #tasks = new Set<Promise<void>>();
  #lost = false;
  #restoring = false;

  constructor(parts: RegistrationParts) {
    this.#parts = parts;
  }

  /** Puts a record; see `Discovery.put`. */
  async put(record: DiscoveryRecord): Promise<AsyncDisposable> {
    const registration: Registration = { path: pathOf(record), value: record.value };
    await this.#inTurn(registration.path, async () => {
      if (this.#stop.signal.aborted) throw new DynamoError('unavailable', 'the runtime has left discovery');
      if (this.#own.has(registration.path)) throw existing(registration.path);
      this.#own.set(registration.path, registration);
      try {
        await this.#create(registration);
      } catch (error) {
        this.#own.delete(registration.path);
        throw this.#told(error, `could not put '${registration.path}'`);
      }
    });
    let withdrawn: Promise<void> | undefined;
    return { [Symbol.asyncDispose]: () => (withdrawn ??= this.#withdraw(registration)) };
  }

  /** Writes a plain value; see `Discovery.set`. */
  async set(record: DiscoveryRecord): Promise<void> {
    const registration: Registration = { path: pathOf(record), value: record.value, yields: true };
    await this.#inTurn(registration.path, async () => {
      if (this.#stop.signal.aborted) throw new DynamoError('unavailable', 'the runtime has left discovery');
      try {
        await this.#onLease(() => this.#parts.connection.put(registration.path, registration.value, this.#parts.lease));
      } catch (error) {
        throw this.#told(error, `could not set '${registration.path}'`);
      }
      this.#own.set(registration.path, registration);
    });
  }

  /** Etcd does not know our lease any more: grants it anew and puts everything back. */
  restore(): void {
    this.#lost = true;
    if (this.#restoring || this.#stop.signal.aborted) return;
    this.#restoring = true;
    this.#begin(this.#restore());
  }

  /** Deletes the records one by one. Afterwards nothing is put or retried. */
  async leave(): Promise<void> {
    this.#stop.abort();
    await Promise.all(this.#tasks);
    for (const registration of this.#own.values())
      await this.#inTurn(registration.path, () => this.#parts.connection.delete(registration.path, this.#parts.lease));
    this.#own.clear();
  }

  /** Creates a key. One that hangs on our lease already is our own: an answer was lost, or an earlier withdrawal failed. */
  async #create({ path, value, yields }: Registration): Promise<void> {
    const { connection, lease } = this.#parts;
    await this.#onLease(async () => {
      const held = await connection.create(path, value, lease);
      if (held === undefined || yields === true) return;
      if (held.lease !== lease) throw existing(path);
      if (held.value.toString() !== value) await connection.put(path, value, lease);
    });
  }

  /** Does what needs the lease; when etcd has lost that, once more with the lease granted anew. */
  async #onLease(attempt: () => Promise<void>): Promise<void> {
    const { connection, lease, ttlSeconds } = this.#parts;
    try {
      await attempt();
    } catch (error) {
      if (!isLeaseLost(error)) throw error;
      // Whatever else hung on it is gone as well.
      this.restore();
      await connection.grant(lease, ttlSeconds);
      await attempt();
    }
  }

  /** When etcd can't be reached, goes on trying in the background: whoever leaves should not have to wait for that. */
  async #withdraw(registration: Registration): Promise<void> {
    const { path } = registration;
    if (this.#own.get(path) !== registration) return;
    const remove = async (): Promise<void> => {
      if (this.#own.get(path) === registration) this.#own.delete(path);
      if (!this.#own.has(path)) await this.#parts.connection.delete(path, this.#parts.lease);
    };
    try {
      await this.#inTurn(path, remove);
    } catch (error) {
      this.#parts.log.warn({ error: String(error), key: path }, 'could not withdraw a record from etcd; trying on');
      this.#begin(this.#persist(() => this.#inTurn(path, remove)));
    }
  }

  async #restore(): Promise<void> {
    const { connection, lease, ttlSeconds, log } = this.#parts;
    log.warn({ lease, records: this.#own.size }, 'etcd has ended the lease: registering again under the same id');
    while (this.#lost && !this.#stop.signal.aborted) {
      this.#lost = false;
      await this.#persist(async () => {
        await connection.grant(lease, ttlSeconds);
        for (const registration of this.#own.values()) await this.#inTurn(registration.path, () => this.#putBack(registration));
      });
    }
    this.#restoring = false;
    if (!this.#stop.signal.aborted) log.info({ lease, records: this.#own.size }, 'is registered in etcd again');
  }

  async #putBack(registration: Registration): Promise<void> {
    if (this.#own.get(registration.path) !== registration || this.#stop.signal.aborted) return;
    await this.#create(registration);
  }

  /** Does it again until it succeeds, or is refused for good, or this runtime leaves. */
  async #persist(attempt: () => Promise<void>): Promise<void> {
    const { signal } = this.#stop;
    for (const waits = backoff(retry); !signal.aborted;) {
      try {
        return await attempt();
      } catch (error) {
        const found = this.#told(error, 'could not register again');
        if (isRefusal(found)) return this.#parts.onRefused(found);
        await sleep(waits.next(), undefined, { signal }).catch(() => {});
      }
    }
  }

  #inTurn(path: string, work: () => Promise<void>): Promise<void> {
    const before = this.#turns.get(path);
    const turn = before === undefined ? work() : before.catch(() => {}).then(work);
    const settled = turn.then(
      () => {},
      () => {},
    );
    this.#turns.set(path, settled);
    void settled.then(() => {
      if (this.#turns.get(path) === settled) this.#turns.delete(path);
    });
    return turn;
  }

  /** Owns what goes on in the background; such work tells of its failures itself. */
  #begin(task: Promise<void>): void {
    this.#tasks.add(task);
    void task.finally(() => this.#tasks.delete(task));
  }

  #told(error: unknown, doing: string): DynamoError {
    return fromEtcdError(error, { endpoints: this.#parts.endpoints, doing });
  }
}

const existing = (path: string): DynamoError =>
  new DynamoError('invalid_argument', `discovery key '${path}' exists already`, { data: { key: path } });
