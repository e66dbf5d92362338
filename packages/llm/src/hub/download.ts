import { createHash, type Hash, randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { hostname } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { DynamoError } from '@dynamo/runtime';
import type { HubApi, HubFile } from './hub-api.ts';

/** What a download needs beside the file. */
export interface DownloadOptions {
  readonly api: HubApi;
  readonly repo: string;
  readonly commit: string;
  readonly signal: AbortSignal | undefined;
  /** Told of every piece: how many bytes it adds to those that are here. Negative when some were of no use. */
  readonly received: (bytes: number) => void;
  /** First wait before another attempt in milliseconds; it doubles. */
  readonly retryMs?: number;
  /** Longest silence within a file in milliseconds. */
  readonly idleMs?: number;
}

/** Attempts in a row that bring no byte before a download is given up. */
const fruitless = 5;

/**
 * Downloads a file to its place in the cache, going on where an earlier attempt of this or a dead process has ended.
 * The blob appears under its name only when it is whole and its checksum is right; processes that do it at once
 * write to files of their own.
 */
export async function download(file: HubFile, blob: string, options: DownloadOptions): Promise<void> {
  if (await isWhole(blob, file)) return options.received(file.size);
  await mkdir(dirname(blob), { recursive: true });
  const part = `${blob}.${ownName()}.dynamo-part`;
  await adopt(blob, part);
  let had = await sizeOf(part);
  options.received(had);
  try {
    for (let idle = 0, attempt = 0; ; attempt++) {
      const failure = await attemptOnce(file, part, options);
      if (failure === undefined) break;
      options.signal?.throwIfAborted();
      const now = await sizeOf(part);
      idle = now > had ? 0 : idle + 1;
      had = now;
      if (idle >= fruitless || !isPassing(failure)) throw failure;
      await sleep((options.retryMs ?? 500) * 2 ** Math.min(idle, 5), undefined, options.signal === undefined ? {} : { signal: options.signal });
    }
    await rename(part, blob);
  } catch (error) {
    if (options.signal?.aborted === true) throw new DynamoError('cancelled', 'fetching the model was cancelled', { cause: error });
    throw diskError(error, file.path);
  } finally {
    // What is left is for the next attempt, whoever makes it.
    await rename(part, `${blob}.dynamo-part`).catch(() => undefined);
  }
}

/** Names this download: the host, because a process of another one can't be seen to be dead. */
const ownName = (): string => `${hostname().replace(/[^\w-]/g, '_')}.${process.pid}.${randomUUID().slice(0, 8)}`;

/** Takes over what an earlier attempt has left: a rename that only one process can make. */
async function adopt(blob: string, part: string): Promise<void> {
  const [host] = ownName().split('.');
  const name = `${basename(blob)}.`;
  for (const entry of await readdir(dirname(blob))) {
    if (!entry.startsWith(name) || !entry.endsWith('dynamo-part')) continue;
    const [owner, pid] = entry.slice(name.length).split('.');
    const free = owner === 'dynamo-part' || (owner === host && !isAlive(Number(pid)));
    if (free) await rename(join(dirname(blob), entry), part).catch(() => undefined);
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

const sizeOf = async (path: string): Promise<number> => (await stat(path).catch(() => undefined))?.size ?? 0;
const isWhole = async (path: string, { size }: HubFile): Promise<boolean> => (await stat(path).catch(() => undefined))?.size === size;

/** Whether a failure may be gone at the next attempt. */
const isPassing = (error: unknown): boolean =>
  DynamoError.is(error) &&
  ['cannot_connect', 'disconnected', 'deadline_exceeded', 'stream_incomplete', 'unavailable', 'rate_limited'].includes(error.code);

/** One request for what is missing; the error that ended it, or nothing when the file is whole and right. */
async function attemptOnce(file: HubFile, part: string, options: DownloadOptions): Promise<unknown> {
  const { api, repo, commit, signal, received } = options;
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(new DOMException('silent', 'TimeoutError')), options.idleMs ?? 60_000);
  try {
    const start = await sizeOf(part);
    const hash = checksum(file);
    if (start < file.size || file.size === 0) {
      const answer = await api.open({
        repo,
        commit,
        path: file.path,
        start,
        signal: AbortSignal.any([stop.signal, ...(signal === undefined ? [] : [signal])]),
      });
      const resumes = answer.status === 206 && start > 0;
      if (!resumes && start > 0) received(-start);
      await using handle = await open(part, resumes ? 'a' : 'w');
      if (resumes) await feed(hash, part);
      if (answer.status !== 416) await append(handle, answer, { file, hash, received, onPiece: () => timer.refresh() });
    } else await feed(hash, part);
    const size = await sizeOf(part);
    if (size < file.size) throw new DynamoError('disconnected', `the hub broke off after ${size} of ${file.size} bytes of '${file.path}'`);
    await checkHash(file, part, { size, digest: hash?.digest('hex'), received });
    return undefined;
  } catch (error) {
    return DynamoError.is(error) || (error as NodeJS.ErrnoException).syscall === 'write' ? error : brokenOff(file, error, signal);
  } finally {
    clearTimeout(timer);
  }
}

async function append(
  handle: FileHandle,
  answer: Response,
  { file, hash, received, onPiece }: { file: HubFile; hash: Hash | undefined; received: (bytes: number) => void; onPiece: () => void },
): Promise<void> {
  let size = (await handle.stat()).size;
  for await (const piece of (answer.body ?? []) as AsyncIterable<Uint8Array>) {
    onPiece();
    size += piece.length;
    if (size > file.size) break;
    await handle.write(piece);
    hash?.update(piece);
    received(piece.length);
  }
}

/** Large files are named by their SHA-256, small ones by the hash that Git gives a blob; of other names nothing is known. */
function checksum({ etag, size }: HubFile): Hash | undefined {
  if (/^[0-9a-f]{64}$/.test(etag)) return createHash('sha256');
  return /^[0-9a-f]{40}$/.test(etag) ? createHash('sha1').update(`blob ${size}\0`) : undefined;
}

async function feed(hash: Hash | undefined, path: string): Promise<void> {
  if (hash !== undefined) for await (const piece of createReadStream(path) as AsyncIterable<Buffer>) hash.update(piece);
}

async function checkHash(
  { path, etag }: HubFile,
  part: string,
  found: { size: number; digest: string | undefined; received: (bytes: number) => void },
): Promise<void> {
  if (found.digest === undefined || found.digest === etag) return;
  await rm(part);
  found.received(-found.size);
  throw new DynamoError('stream_incomplete', `'${path}' has another checksum than the hub says: expected ${etag}, found ${found.digest}`, {
    data: { path, expected: etag, actual: found.digest },
  });
}

function brokenOff({ path }: HubFile, cause: unknown, signal: AbortSignal | undefined): unknown {
  const { code } = cause as NodeJS.ErrnoException;
  if (code !== undefined && /^E(NOSPC|DQUOT|ACCES|ROFS|IO|PERM)$/.test(code)) return cause;
  if (signal?.aborted === true) return new DynamoError('cancelled', 'fetching the model was cancelled', { cause });
  if ((cause as Error).name === 'TimeoutError') return new DynamoError('deadline_exceeded', `the hub has been silent within '${path}'`, { cause });
  return new DynamoError('disconnected', `the connection broke off within '${path}'`, { cause });
}

/** Says what a full or closed disk is; other errors stay what they are. */
export function diskError(error: unknown, path: string): unknown {
  const { code } = error as NodeJS.ErrnoException;
  if (code === 'ENOSPC' || code === 'EDQUOT')
    return new DynamoError('resource_exhausted', `the disk is full: '${path}' has no place in the model cache`, { cause: error });
  if (code === 'EACCES' || code === 'EROFS' || code === 'EPERM')
    return new DynamoError('permission_denied', `the model cache can't be written: '${path}'`, { cause: error });
  return error;
}
