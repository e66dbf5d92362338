import { randomBytes } from 'node:crypto';
import { mkdir, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { DynamoError } from '@dynamo/runtime';
import { isAdapterFolder } from './adapter-folder.ts';

/**
 * Makes a folder of the cache whole or not at all: it is filled under another name and gets its own when it holds an adapter.
 * Processes that fill it at the same time don't meet; the first that is done wins. `fill` says whether the folder is to be kept.
 *
 * @throws DynamoError `invalid_argument` when what came is no adapter; and what `fill` threw. Nothing stays then.
 */
export async function fillFolder(path: string, fill: (folder: string) => Promise<boolean | void>): Promise<string> {
  const folder = `${path}.tmp.${process.pid}.${randomBytes(6).toString('hex')}`;
  await mkdir(dirname(path), { recursive: true });
  await mkdir(folder);
  try {
    if ((await fill(folder)) === false) return path;
    if (!(await isAdapterFolder(folder)))
      throw new DynamoError('invalid_argument', 'what was downloaded is not a valid LoRA: expected adapter_config.json and adapter weights');
    await settle(folder, path);
    return path;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function settle(folder: string, path: string): Promise<void> {
  try {
    await rename(folder, path);
  } catch (error) {
    if (!isTaken(error)) throw error;
    // Another process was faster.
    if (await isAdapterFolder(path)) return;
    // What stands there is of no use to anybody: it makes room.
    const broken = `${folder}.broken`;
    await rename(path, broken).catch(() => undefined);
    try {
      await rename(folder, path);
    } catch (again) {
      if (!isTaken(again) || !(await isAdapterFolder(path))) throw again;
    } finally {
      await rm(broken, { recursive: true, force: true });
    }
  }
}

const isTaken = (error: unknown): boolean => ['ENOTEMPTY', 'EEXIST', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '');
