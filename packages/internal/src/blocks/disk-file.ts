import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, open, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DynamoError, type DynamoErrorCode } from '@dynamo/runtime';
import { alignUp, type Layout } from './layout.ts';
import type { TierStorage } from './tier-storage.ts';

/** Where and how the file of the disk tier is made. */
export interface DiskFileOptions {
  /** A folder that exists; default: that of temporary files. */
  folder?: string;
  /** Whether the file's room is taken from the disk at once, by writing it, so that a full disk is seen at the start; default true. */
  reserve?: boolean;
  /** Whether each write waits for the device; default false. */
  durable?: boolean;
  /** @internal How a file is opened. */
  openFile?: (path: string, flags: number, mode: number) => Promise<Pick<FileHandle, 'read' | 'readv' | 'write' | 'writev' | 'truncate' | 'close'>>;
}

type OpenFile = Awaited<ReturnType<NonNullable<DiskFileOptions['openFile']>>>;

/** Blocks start at multiples of it: the pages of file systems. */
const pageBytes = 4_096;
/** Pieces of one call, below what systems take. */
const mostPieces = 512;
const reserveBytes = 4 * 1024 * 1024;
const namePattern = /^dynamo-blocks-(\d+)-[0-9a-f]{16}\.bin$/;

const codes: Readonly<Record<string, DynamoErrorCode>> = {
  ENOSPC: 'resource_exhausted',
  EDQUOT: 'resource_exhausted',
  EFBIG: 'resource_exhausted',
  EMFILE: 'resource_exhausted',
  ENOENT: 'invalid_argument',
  ENOTDIR: 'invalid_argument',
  EACCES: 'permission_denied',
  EPERM: 'permission_denied',
  EROFS: 'permission_denied',
};

/**
 * Blocks in one file of a fixed size, read and written at their positions.
 *
 * The file starts empty and goes with its owner: nothing is found again after a restart (spec block-manager 8).
 */
export class DiskFile implements TierStorage {
  readonly path: string;
  readonly stride: number;
  readonly #file: OpenFile;
  readonly #busy = new Set<Promise<void>>();
  #closed = false;

  private constructor(file: OpenFile, path: string, stride: number) {
    this.#file = file;
    this.path = path;
    this.stride = stride;
  }

  /**
   * Makes the file with room for all blocks, and removes files that dead processes left in the folder.
   *
   * @throws DynamoError `resource_exhausted` for a full disk, `invalid_argument` without the folder, `permission_denied`;
   * nothing is left behind then.
   */
  static async open(layout: Layout, options: DiskFileOptions = {}): Promise<DiskFile> {
    const { folder = tmpdir(), reserve = true, durable = false, openFile = open } = options;
    const path = join(folder, `dynamo-blocks-${process.pid}-${randomBytes(8).toString('hex')}.bin`);
    const stride = alignUp(layout.blockBytes, pageBytes);
    const flags = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | (durable ? constants.O_DSYNC : 0);
    let file: OpenFile | undefined;
    try {
      await removeLeftovers(folder);
      file = await openFile(path, flags, 0o600);
      await file.truncate(stride * layout.blocks);
      if (reserve) await writeZeros(file, stride * layout.blocks);
    } catch (error) {
      await file?.close();
      if (file !== undefined) await rm(path, { force: true });
      throw diskError(error, `no file for ${layout.blocks} blocks of ${stride} bytes in ${folder}`);
    }
    return new DiskFile(file, path, stride);
  }

  async read(slot: number, into: readonly Uint8Array[]): Promise<void> {
    await this.#run(slot, 'read', into);
  }

  async write(slot: number, from: readonly Uint8Array[]): Promise<void> {
    await this.#run(slot, 'write', from);
  }

  /** Ends what is under way, closes the file and removes it. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await Promise.allSettled(this.#busy);
    await this.#file.close();
    await rm(this.path, { force: true });
  }

  async #run(slot: number, verb: 'read' | 'write', pieces: readonly Uint8Array[]): Promise<void> {
    if (this.#closed) throw new DynamoError('unavailable', 'the block manager is closed');
    const moving = this.#move(slot * this.stride, verb, pieces);
    this.#busy.add(moving);
    try {
      await moving;
    } catch (error) {
      throw diskError(error, `block ${slot} of the disk tier could not be ${verb === 'read' ? 'read' : 'written'}`, { block: slot });
    } finally {
      this.#busy.delete(moving);
    }
  }

  async #move(position: number, verb: 'read' | 'write', pieces: readonly Uint8Array[]): Promise<void> {
    let at = position;
    for (let from = 0; from < pieces.length; from += mostPieces) {
      const group = pieces.slice(from, from + mostPieces);
      const bytes = group.reduce((sum, piece) => sum + piece.length, 0);
      const moved = await this.#once(verb, group, at);
      // A system may move less than asked for; the rest goes piece by piece.
      if (moved < bytes) await this.#rest(verb, { pieces: group, moved, position: at });
      at += bytes;
    }
  }

  async #rest(verb: 'read' | 'write', part: { pieces: readonly Uint8Array[]; moved: number; position: number }): Promise<void> {
    let skip = part.moved;
    let at = part.position + part.moved;
    for (const whole of part.pieces) {
      let piece = whole.subarray(Math.min(skip, whole.length));
      skip = Math.max(0, skip - whole.length);
      while (piece.length > 0) {
        const moved = await this.#once(verb, [piece], at);
        if (moved === 0)
          throw new DynamoError(verb === 'read' ? 'unavailable' : 'resource_exhausted', `the file of the disk tier ends at byte ${at}`, {
            data: { path: this.path, position: at },
          });
        at += moved;
        piece = piece.subarray(moved);
      }
    }
  }

  async #once(verb: 'read' | 'write', pieces: readonly Uint8Array[], position: number): Promise<number> {
    const [first] = pieces;
    if (first === undefined) return 0;
    if (verb === 'read')
      return pieces.length === 1
        ? (await this.#file.read(first, 0, first.length, position)).bytesRead
        : (await this.#file.readv([...pieces], position)).bytesRead;
    return pieces.length === 1
      ? (await this.#file.write(first, 0, first.length, position)).bytesWritten
      : (await this.#file.writev([...pieces], position)).bytesWritten;
  }
}

function diskError(error: unknown, what: string, data: Record<string, unknown> = {}): DynamoError {
  if (DynamoError.is(error)) return new DynamoError(error.code, `${what}: ${error.message}`, { cause: error, data: { ...error.data, ...data } });
  const system = (error as { code?: unknown }).code;
  const code = typeof system === 'string' ? (codes[system] ?? 'unavailable') : 'unavailable';
  return new DynamoError(code, `${what}: ${error instanceof Error ? error.message : String(error)}`, { cause: error, data: { ...data, system } });
}

async function writeZeros(file: OpenFile, bytes: number): Promise<void> {
  const zeros = new Uint8Array(Math.min(bytes, reserveBytes));
  for (let at = 0; at < bytes;) {
    const { bytesWritten } = await file.write(zeros, 0, Math.min(zeros.length, bytes - at), at);
    if (bytesWritten === 0) throw new DynamoError('resource_exhausted', `the disk takes ${at} bytes of ${bytes}`);
    at += bytesWritten;
  }
}

/** A process that was killed could not remove its file. Removing one that is in use elsewhere would harm nobody: its owner has it open. */
async function removeLeftovers(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    const pid = Number(namePattern.exec(name)?.[1] ?? Number.NaN);
    if (Number.isInteger(pid) && !isAlive(pid)) await rm(join(folder, name), { force: true }).catch(() => {});
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as { code?: unknown }).code !== 'ESRCH';
  }
}
