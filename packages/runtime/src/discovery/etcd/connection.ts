import { rootCertificates } from 'node:tls';
import { Etcd3, type IDuplexStream, type IKeyValue, type IOptions, isRecoverableError, type IWatchRequest, type IWatchResponse } from 'etcd3';
import { DynamoError } from '../../error.ts';
import type { EtcdOptions } from './options.ts';

/** Keys from `start` on and below `end`. */
export interface KeyRange {
  readonly start: string;
  readonly end: string;
}

/** One entry as etcd holds it. */
export interface Entry {
  readonly key: Buffer;
  readonly value: Buffer;
  /** The lease that it hangs on; 0 for none. */
  readonly lease: bigint;
}

/** What opens a connection: the options, with the files read. A thread can be given it as it stands. */
export interface EtcdAccess {
  readonly options: EtcdOptions;
  readonly pem: { readonly ca?: string; readonly clientCert?: string; readonly clientKey?: string };
}

/** How long one call may take, in milliseconds. */
export const callMs = 5_000;

/**
 * The calls of etcd that discovery needs. Each fails on its own within a bounded time, and is tried on every endpoint
 * once and on one of them twice.
 */
export class EtcdConnection implements Disposable {
  readonly #client: Client;

  constructor(access: EtcdAccess) {
    this.#client = new Client(access);
  }

  /** Grants a lease of the given id, and returns its seconds: etcd may grant more than it is asked for. To hold it already is fine. */
  async grant(id: bigint, ttlSeconds: number): Promise<number> {
    try {
      const granted = await this.#client.leaseClient.leaseGrant({ TTL: ttlSeconds, ID: String(id) });
      // Where the library finds no package for 64-bit integers it rounds them without a word.
      if (BigInt(granted.ID) !== id) throw new DynamoError('unknown', `etcd3 reads the lease ${id} as ${granted.ID}: the package 'long' is missing`);
      return Number(granted.TTL);
    } catch (error) {
      if (!String(error).includes('lease already exists')) throw error;
      return ttlSeconds;
    }
  }

  /** Ends a lease, and with it what hangs on it. */
  async revoke(id: bigint): Promise<void> {
    await this.#client.leaseClient.leaseRevoke({ ID: String(id) });
  }

  /** Renews a lease and returns the seconds that it has: 0 when etcd does not know it. */
  async keepAlive(id: bigint, options: { limitMs: number }): Promise<number> {
    const stream = await this.#client.leaseClient.leaseKeepAlive({ deadline: Date.now() + options.limitMs });
    return new Promise<number>((resolve, reject) => {
      stream.on('error', reject);
      stream.on('end', () => reject(new Error('the stream ended without an answer')));
      stream.on('data', (answer) => {
        resolve(Number(answer.TTL));
        stream.end();
      });
      stream.write({ ID: String(id) });
    });
  }

  /** Puts a key that nobody holds; when somebody does, returns what they hold. */
  async create(key: string, value: string, lease: bigint): Promise<Entry | undefined> {
    const name = Buffer.from(key);
    const { succeeded, responses } = await this.#client.kv.txn({
      compare: [{ key: name, target: 'Create', result: 'Equal', create_revision: '0' }],
      success: [{ request_put: { key: name, value: Buffer.from(value), lease: String(lease) } }],
      failure: [{ request_range: { key: name } }],
    });
    const held = responses[0]?.response_range?.kvs[0];
    return succeeded || held === undefined ? undefined : entryOf(held);
  }

  /** Puts a key, whoever holds it. */
  async put(key: string, value: string, lease: bigint): Promise<void> {
    await this.#client.kv.put({ key: Buffer.from(key), value: Buffer.from(value), lease: String(lease) });
  }

  /** Deletes a key if it hangs on the lease. */
  async delete(key: string, lease: bigint): Promise<void> {
    const name = Buffer.from(key);
    await this.#client.kv.txn({
      compare: [{ key: name, target: 'Lease', result: 'Equal', lease: String(lease) }],
      success: [{ request_delete_range: { key: name } }],
    });
  }

  /** What is there now, and the revision that this is true of. */
  async read(range: KeyRange): Promise<{ readonly entries: readonly Entry[]; readonly revision: bigint }> {
    const { kvs, header } = await this.#client.kv.range(bytesOf(range));
    return { entries: kvs.map(entryOf), revision: BigInt(header.revision) };
  }

  /** Tells of every change after a revision. Ends when the signal aborts, and throws when the stream breaks or history is gone. */
  async watch(range: KeyRange, options: { after: bigint; signal: AbortSignal; onChanges: (changes: readonly EntryChange[]) => void }): Promise<void> {
    const { after, signal, onChanges } = options;
    if (signal.aborted) return;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const stop = (): void => resolve();
    const created = setTimeout(() => reject(new Error(`no watch within ${callMs} ms`)), callMs);
    signal.addEventListener('abort', stop, { once: true });
    let stream: WatchStream | undefined;
    try {
      stream = await this.#client.watchStream((opened) => {
        opened.on('error', reject);
        opened.on('end', () => reject(new Error('the watch ended')));
        opened.on('data', (response) => {
          if (response.created) clearTimeout(created);
          if (response.canceled) reject(new Error(cancellationOf(response)));
          else if (response.events.length > 0)
            onChanges(response.events.map((event) => ({ deleted: event.type === 'Delete', ...entryOf(event.kv) })));
        });
      });
      stream.write({ create_request: { ...bytesOf(range), start_revision: String(after + 1n) } });
      await promise;
    } finally {
      clearTimeout(created);
      signal.removeEventListener('abort', stop);
      // What it still emits goes to the listeners above, which have been heard.
      stream?.cancel();
    }
  }

  [Symbol.dispose](): void {
    this.#client.close();
  }
}

/** A change of one key; the value of a deleted one is empty. */
export type EntryChange = Entry & { readonly deleted: boolean };

type WatchStream = IDuplexStream<IWatchRequest, IWatchResponse>;

class Client extends Etcd3 {
  constructor(access: EtcdAccess) {
    super(clientOptions(access));
  }

  /** A stream that etcd ends when it loses its leader: without that a member cut off from the others shows an old picture for ever. */
  watchStream(listen: (stream: WatchStream) => void): Promise<WatchStream> {
    return this.pool.withConnection('Watch', ({ client, metadata }) => {
      const asking = metadata.clone();
      asking.set('hasleader', 'true');
      const stream = (client as unknown as { watch(metadata: unknown): WatchStream }).watch(asking);
      listen(stream);
      return stream;
    });
  }
}

function clientOptions({ options, pem }: EtcdAccess): IOptions {
  const secure = options.endpoints.some((endpoint) => endpoint.startsWith('https:'));
  const within = (context: { isStream: boolean }): { deadline?: number } => (context.isStream ? {} : { deadline: Date.now() + callMs });
  return {
    hosts: [...options.endpoints],
    defaultCallOptions: within,
    ...(options.login === undefined ? {} : { auth: options.login }),
    ...(secure ? { credentials: credentialsOf(pem) } : {}),
    // Every endpoint once and one of them twice. The library's own policy shuts an endpoint out for 5 s after 3 failures.
    faultHandling: { host: () => patience(1), global: patience(options.endpoints.length + 1) },
    grpcOptions: {
      // Model cards with their templates pass the usual 4 MiB together.
      'grpc.max_receive_message_length': -1,
      'grpc.initial_reconnect_backoff_ms': 100,
      'grpc.max_reconnect_backoff_ms': 1_000,
      // Finds out about a peer that has gone without a word; etcd forbids less than 5 s.
      'grpc.keepalive_time_ms': 10_000,
      'grpc.keepalive_timeout_ms': 5_000,
      'grpc.enable_http_proxy': 0,
      'grpc.service_config_disable_resolution': 1,
    },
  };
}

const credentialsOf = (pem: EtcdAccess['pem']): NonNullable<IOptions['credentials']> => ({
  rootCertificate: Buffer.from(pem.ca ?? rootCertificates.join('\n')),
  ...(pem.clientKey === undefined ? {} : { privateKey: Buffer.from(pem.clientKey) }),
  ...(pem.clientCert === undefined ? {} : { certChain: Buffer.from(pem.clientCert) }),
});

type Policy = NonNullable<NonNullable<IOptions['faultHandling']>['global']>;

/** Tries so often what may work on another endpoint. The library asks for an object of the makers of its default, and only calls `execute`. */
function patience(attempts: number): Policy {
  const execute = async <T>(attempt: (context: { signal: AbortSignal }) => PromiseLike<T> | T): Promise<T> => {
    for (let left = attempts; ; left--) {
      try {
        return await attempt({ signal: new AbortController().signal });
      } catch (error) {
        if (left <= 1 || !(error instanceof Error) || !isRecoverableError(error)) throw error;
      }
    }
  };
  return { execute } as unknown as Policy;
}

const bytesOf = (range: KeyRange): { key: Buffer; range_end: Buffer } => ({ key: Buffer.from(range.start), range_end: Buffer.from(range.end) });

const entryOf = (entry: IKeyValue): Entry => ({ key: entry.key, value: entry.value, lease: BigInt(entry.lease) });

const cancellationOf = (response: IWatchResponse): string =>
  response.compact_revision === '0' ? `the watch was cancelled: ${response.cancel_reason}` : 'the history since the last look was compacted';
