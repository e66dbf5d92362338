import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Authenticator, NatsConnection } from '@nats-io/transport-node';
import { DynamoError } from '../../error.ts';
import type { Logger } from '../../log.ts';
import { probe } from './probe.ts';
import type { NatsSettings } from './settings.ts';

export type { NatsConnection } from '@nats-io/transport-node';

/** How long to wait between attempts to reach a server that went away, in milliseconds, and how much of it is chance. */
const reconnectMs = 250;
const jitterMs = 100;

/** How often the server is asked whether it is still there, in milliseconds; two answers may be missing. */
const pingMs = 20_000;

/** How long what was published may take to leave when the connection closes, in milliseconds. */
const flushMs = 1_000;

/** The library, loaded by whoever needs NATS first. */
type Library = typeof import('@nats-io/transport-node');

/** The one NATS connection of a runtime. Disposing flushes and closes it. */
export interface NatsLink extends AsyncDisposable {
  /** Where it leads, for messages. */
  readonly url: string;
  /** Whether the server can be heard now; false before `open`. */
  readonly connected: boolean;
  /**
   * Connects at the first call; everybody gets the same connection, which then comes back by itself for ever. After a
   * failure the next call tries again.
   *
   * @throws DynamoError `cannot_connect` with the address, within `connectMs`; `invalid_argument` for credentials that can't be read.
   */
  open(): Promise<NatsConnection>;
  /** Hears when the server is lost (false) and when it is back (true), from then on. */
  onChange(callback: (connected: boolean) => void): Disposable;
}

/** Prepares the runtime's connection; nothing is loaded or opened before `open`. */
export function createNatsLink(settings: NatsSettings, log: Logger): NatsLink {
  const url = settings.servers.join(',');
  const listeners = new Set<(connected: boolean) => void>();
  let opening: Promise<NatsConnection> | undefined;
  let connected = false;
  let disposed = false;

  async function open(): Promise<NatsConnection> {
    const library = await import('@nats-io/transport-node');
    const connection = await connect(library, settings, url);
    connected = true;
    // A loop for as long as the connection lives; the status iterator never throws.
    void follow(connection);
    return connection;
  }

  async function follow(connection: NatsConnection): Promise<void> {
    const tell = (now: boolean): void => {
      connected = now;
      for (const listener of listeners) listener(now);
    };
    for await (const { type } of connection.status()) {
      if (type === 'disconnect' && !disposed) {
        log.warn({ url }, 'lost the NATS server: trying to reach it again');
        tell(false);
      } else if (type === 'reconnect') {
        log.info({ url }, 'reached the NATS server again');
        tell(true);
      }
    }
  }

  return {
    url,
    get connected() {
      return connected;
    },
    async open() {
      if (disposed) throw new DynamoError('unavailable', 'the runtime is shutting down');
      opening ??= open().catch((error: unknown) => {
        opening = undefined;
        throw error;
      });
      return opening;
    },
    onChange(callback) {
      listeners.add(callback);
      return { [Symbol.dispose]: () => void listeners.delete(callback) };
    },
    async [Symbol.asyncDispose]() {
      disposed = true;
      const connection = await opening?.catch(() => undefined);
      if (connection === undefined) return;
      const flushed = connection.flush().catch(() => {}); // Without a server there is nothing to wait for.
      await Promise.race([flushed, sleep(flushMs, undefined, { ref: false })]);
      await connection.close();
    },
  };
}

async function connect(library: Library, settings: NatsSettings, url: string): Promise<NatsConnection> {
  const authenticator = await authenticatorOf(library, settings);
  const tls = settings.servers.some((server) => server.startsWith('tls:'));
  const eachMs = Math.max(1, Math.floor(settings.connectMs / settings.servers.length));
  try {
    await anyAnswers(settings.servers, eachMs);
    return await library.connect({
      servers: [...settings.servers],
      authenticator,
      ...(tls ? { tls: {} } : {}),
      timeout: eachMs,
      maxReconnectAttempts: -1,
      // A server that is starting may refuse a good name for a moment: that must not end the connection for good.
      ignoreAuthErrorAbort: true,
      pingInterval: pingMs,
      reconnectTimeWait: reconnectMs,
      reconnectJitter: jitterMs,
      // Where a request failed is told by our errors; a trace for every request is dear.
      noAsyncTraces: true,
    });
  } catch (error) {
    const why = error instanceof Error ? error.message : 'it closed the connection';
    throw new DynamoError('cannot_connect', `NATS at ${url} can't be reached: ${why}`, { cause: error, data: { url } });
  }
}

async function anyAnswers(servers: readonly string[], eachMs: number): Promise<void> {
  try {
    await Promise.any(servers.map((server) => probe(server, eachMs)));
  } catch (error) {
    throw (error as AggregateError).errors[0];
  }
}

async function authenticatorOf(library: Library, { auth }: NatsSettings): Promise<Authenticator> {
  if (auth.kind === 'password') return library.usernamePasswordAuthenticator(auth.user, auth.password);
  if (auth.kind === 'token') return library.tokenAuthenticator(auth.token);
  if (auth.kind === 'nkey') return checked('NATS_AUTH_NKEY', 'the seed', () => library.nkeyAuthenticator(Buffer.from(auth.seed)));
  const text = await readFile(auth.path).catch((error: unknown) => {
    throw unreadable('NATS_AUTH_CREDENTIALS_FILE', auth.path, error);
  });
  return checked('NATS_AUTH_CREDENTIALS_FILE', auth.path, () => library.credsAuthenticator(text));
}

/** Signs once, so that a broken key is told of here and not by a server that hears nothing. */
function checked(name: string, what: string, make: () => Authenticator): Authenticator {
  try {
    const authenticator = make();
    authenticator('nonce');
    return authenticator;
  } catch (error) {
    throw unreadable(name, what, error);
  }
}

const unreadable = (name: string, what: string, cause: unknown): DynamoError =>
  new DynamoError('invalid_argument', `${name}: ${what} can't be used: ${cause instanceof Error ? cause.message : String(cause)}`, {
    cause,
    data: { name },
  });
