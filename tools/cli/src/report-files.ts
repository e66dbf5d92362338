import { access, constants, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { UsageError } from './usage.ts';

/**
 * Makes sure of the places of reports before the work that they report on, which may take hours.
 *
 * @throws UsageError naming the flag whose file can't be written.
 */
export async function checkReports(places: Readonly<Record<string, string | undefined>>): Promise<void> {
  for (const [flag, path] of Object.entries(places)) {
    if (path === undefined) continue;
    const problem = await problemOf(path);
    if (problem !== undefined) throw new UsageError(`${flag} '${path}' can't be written: ${problem}`);
  }
}

async function problemOf(path: string): Promise<string | undefined> {
  const found = await stat(path).catch(() => undefined);
  if (found?.isDirectory() === true) return 'it is a folder';
  return access(found === undefined ? dirname(path) : path, constants.W_OK).then(
    () => undefined,
    (error: Error) => error.message,
  );
}
