import { mkdir, stat, statfs } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { DynamoError } from '@dynamo/runtime';
import { ModelCache, type Wanted } from './cache.ts';
import { diskError, download } from './download.ts';
import { type HubApi, hubApi, type HubFile } from './hub-api.ts';
import { isIgnored, isWeights, type ModelId, parseModelId } from './model-id.ts';
import type { HubPlace } from './place.ts';

/** How a model is fetched. */
export interface FetchModelOptions {
  /** Whether its weights are fetched, too; default false. */
  weights?: boolean;
  /** The one file that is fetched. */
  file?: string;
  signal?: AbortSignal;
  /** Told of all the files' bytes that are here, out of how many, and which file came last. */
  onProgress?: (progress: FetchProgress) => void;
}

/** How far a fetch is. */
export interface FetchProgress {
  readonly file: string;
  readonly receivedBytes: number;
  readonly totalBytes: number;
}

/** What a test may set: the waits between attempts, and the free bytes of the disk. */
export interface FetchInternals {
  readonly retryMs?: number;
  readonly idleMs?: number;
  readonly freeBytes?: (folder: string) => Promise<number>;
}

/** Files that are asked about, and those that are downloaded, at one time. */
const atOnce = 4;

/**
 * Finds a model's files: a folder as it is; else the hub's cache or the hub, with what was fetched before kept.
 *
 * @throws DynamoError that says what to do: `not_found`, `unauthenticated`, `permission_denied`, `unavailable` (offline and not
 * in the cache), `cannot_connect`, `disconnected`, `resource_exhausted` (the disk is full), `cancelled`.
 */
export async function fetchModel(source: string, place: HubPlace, options: FetchModelOptions = {}, internals: FetchInternals = {}): Promise<string> {
  const { weights = false, file, signal } = options;
  if ((await stat(source).catch(() => undefined))?.isDirectory() === true) return resolve(source);
  const model = parseModelId(source);
  const cache = new ModelCache(place.cache, model.repo);
  const wanted = { weights, ...(file === undefined ? {} : { file }) };
  if (place.offline) return (await cache.find(model, wanted)) ?? missing(model, place);
  const api = hubApi(place, signal);
  const listed = await api.list(model).catch(async (error: unknown) => (await fallback(error, cache, model, wanted)) ?? raise(error));
  if (typeof listed === 'string') return listed;
  const names = listed.files.filter((name) => (file === undefined ? !isIgnored(name) && (weights || !isWeights(name)) : name === file));
  if (names.length === 0 && file !== undefined) throw new DynamoError('not_found', `model '${model.repo}' has no file ${file} on ${place.endpoint}`);
  if (names.length === 0) throw new DynamoError('not_found', `model '${model.repo}' has no files of use on ${place.endpoint}`);
  await fill({ model, commit: listed.commit, names, cache, api, options, internals });
  return cache.snapshot(listed.commit);
}

/** A hub that can't be reached is no reason to do without what is here already. */
async function fallback(error: unknown, cache: ModelCache, model: ModelId, wanted: Wanted): Promise<string | undefined> {
  const passing = DynamoError.is(error) && ['cannot_connect', 'deadline_exceeded', 'unavailable', 'rate_limited'].includes(error.code);
  return passing ? cache.find(model, wanted) : undefined;
}

function raise(error: unknown): never {
  throw error;
}

function missing({ repo, revision }: ModelId, { cache }: HubPlace): never {
  throw new DynamoError('unavailable', `HF_HUB_OFFLINE is set and '${repo}@${revision}' is not whole in ${cache}`, {
    data: { repo, revision, cache },
  });
}

interface Filling {
  readonly model: ModelId;
  readonly commit: string;
  readonly names: readonly string[];
  readonly cache: ModelCache;
  readonly api: HubApi;
  readonly options: FetchModelOptions;
  readonly internals: FetchInternals;
}

async function fill({ model, commit, names, cache, api, options, internals }: Filling): Promise<void> {
  const { onProgress, signal } = options;
  const files: HubFile[] = [];
  await each(names, async (name) => {
    // What a commit holds never changes.
    if ((await stat(join(cache.snapshot(commit), name)).catch(() => undefined)) === undefined)
      files.push(await api.describe(model.repo, commit, name));
  });
  const totalBytes = files.reduce((sum, { size }) => sum + size, 0);
  await checkRoom(files, cache, internals.freeBytes ?? freeBytes);
  let receivedBytes = 0;
  await each(files, async (file) => {
    const received = (bytes: number): void => {
      receivedBytes += bytes;
      onProgress?.({ file: file.path, receivedBytes, totalBytes });
    };
    await download(file, cache.blob(file.etag), { api, repo: model.repo, commit, signal, received, ...internals });
    await cache.link(commit, file.path, file.etag).catch((error: unknown) => raise(diskError(error, file.path)));
  });
  await cache.point(model.revision, commit).catch((error: unknown) => raise(diskError(error, model.revision)));
}

/** A few at a time; the first failure is the whole's, once those that run have ended. */
async function each<T>(items: readonly T[], run: (item: T) => Promise<void>): Promise<void> {
  const queue = [...items];
  const lanes = Array.from({ length: Math.min(atOnce, queue.length) }, async () => {
    for (let item = queue.shift(); item !== undefined; item = queue.shift()) {
      try {
        await run(item);
      } catch (error) {
        queue.length = 0;
        throw error;
      }
    }
  });
  const failed = (await Promise.allSettled(lanes)).find((result) => result.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}

/** Says before the first byte that there is no room for the last. */
async function checkRoom(files: readonly HubFile[], cache: ModelCache, free: (folder: string) => Promise<number>): Promise<void> {
  const present = await Promise.all(files.map(async ({ etag }) => (await stat(cache.blob(etag)).catch(() => undefined)) !== undefined));
  const needed = files.reduce((sum, { size }, index) => (present[index] === true ? sum : sum + size), 0);
  if (needed === 0) return;
  await mkdir(cache.blobs, { recursive: true }).catch((error: unknown) => raise(diskError(error, cache.blobs)));
  const room = await free(cache.blobs);
  if (needed > room)
    throw new DynamoError('resource_exhausted', `the disk is full: ${cache.blobs} needs ${needed} more bytes and has ${room}`, {
      data: { needed, room },
    });
}

async function freeBytes(folder: string): Promise<number> {
  const { bavail, bsize } = await statfs(folder);
  return bavail * bsize;
}
