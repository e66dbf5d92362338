import { randomBytes } from 'node:crypto';
import { link, readFile, rename, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DynamoError } from '../../error.ts';
import type { Logger } from '../../log.ts';
import { checkValue, matches } from '../changes.ts';
import type { Bucket, Discovery, DiscoveryQuery, DiscoveryRecord } from '../discovery.ts';
import { follow } from '../follow.ts';
import { BucketFolder, fromFileError, ignoreMissing, makeFolder, wrapped } from './bucket.ts';
import type { OpenNotices } from './folder-watch.ts';
import { startHeartbeat } from './heartbeat.ts';
import { fileNameOf, temporaryPrefix } from './names.ts';

/** A record untouched for so long belongs to a dead process, in milliseconds (spec runtime-wire 3.2). */
export const defaultTtlMs = 10_000;

/** Discovery through files in a folder that all processes share; needs no server. */
export async function file(options: { root: string; log: Logger; ttlMs?: number; notices?: OpenNotices }): Promise<Discovery> {
  const ttlMs = options.ttlMs ?? defaultTtlMs;
  const instanceId = randomBytes(8).readBigUInt64BE();
  const beatMs = Math.max(1_000, ttlMs / 3);
  await using undo = new AsyncDisposableStack();
  const heartbeat = undo.use(startHeartbeat(Math.min(beatMs, ttlMs / 3)));
  const folders = new Map<Bucket, Promise<BucketFolder>>();
  const folder = (bucket: Bucket): Promise<BucketFolder> => {
    const known = folders.get(bucket);
    if (known !== undefined) return known;
    const opened = openFolder(bucket);
    folders.set(bucket, opened);
    // What could not be opened is tried anew the next time; whoever asked hears of the failure.
    opened.catch(() => folders.delete(bucket));
    return opened;
  };
  async function openFolder(bucket: Bucket): Promise<BucketFolder> {
    const opened = new BucketFolder(options.root, bucket, { log: options.log, ttlMs, notices: options.notices });
    await makeFolder(opened.path);
    return opened;
  }
  const janitor = startJanitor(folders, { everyMs: beatMs, log: options.log });
  undo.defer(async () => {
    await janitor[Symbol.asyncDispose]();
    for (const opened of folders.values()) (await opened)[Symbol.dispose]();
  });
  const own = new Set<() => Promise<void>>();
  undo.defer(async () => void (await Promise.all([...own].map((withdraw) => withdraw()))));

  async function put(record: DiscoveryRecord): Promise<AsyncDisposable> {
    const opened = await folder(record.bucket);
    const name = fileNameOf(record.key);
    const path = join(opened.path, name);
    // What the dead have left is not listed any more: it must not stand in the way either. What can't be removed exists.
    await opened.expireOne(name).catch(() => {});
    await create(opened.path, path, record);
    await heartbeat.keep(path, record.value);
    let withdrawn: Promise<void> | undefined;
    const withdraw = (): Promise<void> =>
      (withdrawn ??= (async () => {
        await heartbeat.release(path);
        await unlink(path).catch(ignoreMissing);
        own.delete(withdraw);
      })());
    own.add(withdraw);
    return { [Symbol.asyncDispose]: withdraw };
  }

  const values = new Map<string, string>();
  // What one key is set to is written in turn: the last one set stands, in the file and with the heartbeat.
  let setting: Promise<void> = Promise.resolve();
  undo.defer(async () => {
    await setting.catch(() => {});
    for (const [path, content] of values) {
      await heartbeat.release(path);
      // What somebody has written over is theirs.
      if ((await readFile(path, 'utf8').catch(ignoreMissing)) === content) await unlink(path).catch(ignoreMissing);
    }
  });
  const kept = undo.move();

  async function set(record: DiscoveryRecord): Promise<void> {
    checkValue(record);
    const opened = await folder(record.bucket);
    const path = join(opened.path, fileNameOf(record.key));
    const content = wrapped(record.value, instanceId);
    await replace(opened.path, path, content);
    values.set(path, content);
    await heartbeat.keep(path, content);
  }

  return {
    instanceId,
    lost: new Promise<never>(() => {}),
    put,
    set: (record) => (setting = setting.catch(() => {}).then(() => set(record))),
    async list(query) {
      return (await (await folder(query.bucket)).list()).filter((record) => matches(query, record.key));
    },
    async *watch(query, { signal }) {
      const opened = await folder(query.bucket);
      yield* follow(opened.changes, patient(opened, options.log, query), { signal });
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

/** Deletes the files of the dead at a fixed rhythm, as every process does (spec runtime-wire 3.2). */
function startJanitor(folders: ReadonlyMap<Bucket, Promise<BucketFolder>>, options: { everyMs: number; log: Logger }): AsyncDisposable {
  let round: Promise<void> | undefined;
  let failing = false;
  const clean = async (): Promise<void> => {
    try {
      for (const opened of folders.values()) await (await opened).expire();
      failing = false;
    } catch (error) {
      if (!failing) options.log.warn({ error: String(error) }, 'could not clean the discovery folder');
      failing = true;
    } finally {
      round = undefined;
    }
  };
  const timer = setInterval(() => (round ??= clean()), options.everyMs).unref();
  return {
    async [Symbol.asyncDispose]() {
      clearInterval(timer);
      await round;
    },
  };
}

/** Looks at a folder for a watch: while it can't be read, what was seen last stands, and one line says why. */
function patient(folder: BucketFolder, log: Logger, query: DiscoveryQuery): () => Promise<readonly DiscoveryRecord[]> {
  let last: readonly DiscoveryRecord[] = [];
  let failing = false;
  return async () => {
    try {
      last = (await folder.list()).filter((record) => matches(query, record.key));
      failing = false;
    } catch (error) {
      if (!failing) log.warn({ error: String(error), bucket: query.bucket }, 'could not look at the discovery folder');
      failing = true;
    }
    return last;
  };
}

/** Written aside and moved over what is there. */
async function replace(directory: string, path: string, content: string): Promise<void> {
  const temporary = join(directory, `${temporaryPrefix}${randomBytes(8).toString('hex')}`);
  try {
    await writeFile(temporary, content, { mode: 0o644 });
    await rename(temporary, path);
  } catch (cause) {
    await unlink(temporary).catch(ignoreMissing);
    throw fromFileError(cause, directory);
  }
}

/** Written aside and linked into place: a reader never sees half a record, and of two writers one fails. */
async function create(directory: string, path: string, record: DiscoveryRecord): Promise<void> {
  const temporary = join(directory, `${temporaryPrefix}${randomBytes(8).toString('hex')}`);
  try {
    await writeFile(temporary, record.value, { mode: 0o644 });
    await link(temporary, path);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'EEXIST') throw fromFileError(cause, directory);
    throw new DynamoError('invalid_argument', `discovery key '${record.bucket}/${record.key}' exists already`, { cause, data: { key: record.key } });
  } finally {
    await unlink(temporary).catch(ignoreMissing);
  }
}
