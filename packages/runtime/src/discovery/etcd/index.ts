import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { DynamoError } from '../../error.ts';
import type { Logger } from '../../log.ts';
import type { Discovery, DiscoveryChange, DiscoveryQuery } from '../discovery.ts';
import { checkValue } from '../changes.ts';
import { follow } from '../follow.ts';
import { type EtcdAccess, EtcdConnection } from './connection.ts';
import { fromConnectError, fromEtcdError } from './errors.ts';
import { startKeepAlive } from './keep-alive.ts';
import { Mirror, type MirrorParts } from './mirror.ts';
import type { EtcdOptions } from './options.ts';
import { rangeOf, recordReader } from './records.ts';
import { Registrations } from './registrations.ts';

/**
 * Discovery through etcd: one lease a runtime, which every record hangs on and whose id is the instance id.
 *
 * @throws DynamoError `cannot_connect`, `unauthenticated` or `permission_denied` when no lease is to be had.
 */
export async function etcd(options: { etcd: EtcdOptions; log: Logger }): Promise<Discovery> {
  const { log } = options;
  const { endpoints } = options.etcd;
  const access = await readAccess(options.etcd);
  await using undo = new AsyncDisposableStack();
  const connection = undo.use(new EtcdConnection(access));
  // Of our own choice, so that the grant can be repeated: when its answer was lost, and when etcd has lost the lease.
  const lease = (randomBytes(8).readBigUInt64BE() >> 1n) | 1n;
  const ttlSeconds = await connection.grant(lease, options.etcd.leaseTtlSeconds).catch((error: unknown) => {
    throw fromConnectError(error, endpoints);
  });
  const lost = Promise.withResolvers<never>();
  // Nobody has to listen.
  lost.promise.catch(() => {});
  const registrations = new Registrations({ connection, endpoints, lease, ttlSeconds, log, onRefused: lost.reject });
  const keepAlive = undo.use(
    startKeepAlive({ access, id: lease, everyMs: (ttlSeconds * 1_000) / 3 }, { log, onLost: () => registrations.restore() }),
  );
  const mirrors: MirrorParts = { connection, log, read: recordReader(log) };
  const open = new Set<Mirror>();
  const kept = undo.move();

  async function leave(): Promise<void> {
    for (const mirror of open) mirror.stop();
    // Told apart from a lease that etcd has ended: nobody asks for it any more.
    await keepAlive[Symbol.asyncDispose]();
    try {
      await registrations.leave();
      await connection.revoke(lease);
    } catch (error) {
      log.warn({ error: String(error), ttlSeconds }, 'could not leave etcd: the records go when the lease ends');
    }
    await kept.disposeAsync();
  }
  let leaving: Promise<void> | undefined;

  async function* watch(query: DiscoveryQuery, { signal }: { signal: AbortSignal }): AsyncGenerator<DiscoveryChange> {
    if (signal.aborted) return;
    await using mirror = new Mirror(mirrors, query);
    const stop = (): void => mirror.stop();
    open.add(mirror);
    signal.addEventListener('abort', stop, { once: true });
    try {
      await mirror.opened;
      if (!signal.aborted) yield* follow(mirror, async () => mirror.records, { signal });
    } finally {
      signal.removeEventListener('abort', stop);
      open.delete(mirror);
    }
  }

  return {
    instanceId: lease,
    lost: lost.promise,
    put: (record) => registrations.put(record),
    async set(record) {
      checkValue(record);
      await registrations.set(record);
    },
    async list(query) {
      try {
        const { entries } = await connection.read(rangeOf(query));
        return entries.flatMap((entry) => mirrors.read(entry, query) ?? []);
      } catch (error) {
        throw fromEtcdError(error, { endpoints, doing: `could not list '${query.bucket}'` });
      }
    },
    watch,
    [Symbol.asyncDispose]: () => (leaving ??= leave()),
  };
}

/** Which variable names which file (spec runtime-wire 2). */
const fileVariables = { ca: 'ETCD_AUTH_CA', clientCert: 'ETCD_AUTH_CLIENT_CERT', clientKey: 'ETCD_AUTH_CLIENT_KEY' } as const;

async function readAccess(options: EtcdOptions): Promise<EtcdAccess> {
  const pem: Record<string, string> = {};
  for (const part of ['ca', 'clientCert', 'clientKey'] as const) {
    const path = options.tls[part];
    if (path === undefined) continue;
    pem[part] = await readFile(path, 'utf8').catch((cause: unknown) => {
      const name = fileVariables[part];
      throw new DynamoError('invalid_argument', `${name}='${path}' can't be read: ${String(cause)}`, { cause, data: { name, value: path } });
    });
  }
  return { options, pem };
}
