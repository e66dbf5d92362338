import { randomBytes } from 'node:crypto';
import { link, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DynamoError } from '../../error.ts';
import type { Logger } from '../../log.ts';
import { matches } from '../changes.ts';
import type { Bucket, Discovery, DiscoveryRecord } from '../discovery.ts';
import { follow } from '../follow.ts';
import { BucketFolder, ignoreMissing, makeFolder } from './bucket.ts';
import { startHeartbeat } from './heartbeat.ts';
import { fileNameOf, temporaryPrefix } from './names.ts';

/** A record untouched for so long belongs to a dead process, in milliseconds (spec runtime-wire 3.2). */
export const defaultTtlMs = 10_000;

/** Discovery through files in a folder that all processes share; needs no server. */
export async function file(options: { root: string; log: Logger; ttlMs?: number }): Promise<Discovery> {
  const ttlMs = options.ttlMs ?? defaultTtlMs;
  const beatMs = Math.max(1_000, ttlMs / 3);
  await using undo = new AsyncDisposableStack();
  const heartbeat = undo.use(startHeartbeat(Math.min(beatMs, ttlMs / 3)));
  const folders = new Map<Bucket, Promise<BucketFolder>>();
  const folder = (bucket: Bucket): Promise<BucketFolder> => {
    const opened = folders.get(bucket) ?? openFolder(bucket);
    folders.set(bucket, opened);
    return opened;
  };
  async function openFolder(bucket: Bucket): Promise<BucketFolder> {
    const opened = new BucketFolder(options.root, bucket, { log: options.log, ttlMs });
    await makeFolder(opened.path);
    return opened;
  }
  let expiring = Promise.resolve();
  const janitor = setInterval(() => {
    expiring = (async () => {
      for (const opened of folders.values()) await (await opened).expire();
    })().catch((error: unknown) => options.log.warn({ error: String(error) }, 'could not clean the discovery folder'));
  }, beatMs).unref();
  undo.defer(async () => {
    clearInterval(janitor);
    await expiring;
    for (const opened of folders.values()) (await opened)[Symbol.dispose]();
  });
  const own = undo.use(new AsyncDisposableStack());
  const kept = undo.move();

  async function put(record: DiscoveryRecord): Promise<AsyncDisposable> {
    const { path: directory } = await folder(record.bucket);
    const path = join(directory, fileNameOf(record.key));
    await create(directory, path, record);
    await heartbeat.keep(path, record.value);
    let withdrawn: Promise<void> | undefined;
    const withdraw = (): Promise<void> =>
      (withdrawn ??= (async () => {
        await heartbeat.release(path);
        await unlink(path).catch(ignoreMissing);
      })());
    own.defer(withdraw);
    return { [Symbol.asyncDispose]: withdraw };
  }

  return {
    instanceId: randomBytes(8).readBigUInt64BE(),
    lost: new Promise<never>(() => {}),
    put,
    async list(query) {
      return (await (await folder(query.bucket)).list()).filter((record) => matches(query, record.key));
    },
    async *watch(query, { signal }) {
      const opened = await folder(query.bucket);
      yield* follow(opened, async () => (await opened.list()).filter((record) => matches(query, record.key)), { signal });
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

/** Written aside and linked into place: a reader never sees half a record, and of two writers one fails. */
async function create(directory: string, path: string, record: DiscoveryRecord): Promise<void> {
  const temporary = join(directory, `${temporaryPrefix}${randomBytes(8).toString('hex')}`);
  await writeFile(temporary, record.value, { mode: 0o644 });
  try {
    await link(temporary, path);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'EEXIST') throw cause;
    throw new DynamoError('invalid_argument', `discovery key '${record.bucket}/${record.key}' exists already`, { cause, data: { key: record.key } });
  } finally {
    await unlink(temporary).catch(ignoreMissing);
  }
}
