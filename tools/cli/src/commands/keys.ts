import { randomBytes } from 'node:crypto';
import { appendFile, readFile } from 'node:fs/promises';
import { hashKey, type KeyEntry, parseKeyFile } from '@dynamo/llm/internal';
import type { Settings } from '../settings.ts';
import { UsageError } from '../usage.ts';

const dayMs = 86_400_000;

/** Makes an API key: the key goes to stdout, once, and its line to the key file. */
export async function runKeys({ keys = {} }: Settings): Promise<number> {
  const { id, file, models, expiresDays, ...limits } = keys;
  if (id === undefined) throw new UsageError('--key-id is missing: name the owner of the key');
  const key = `dyn-${randomBytes(32).toString('base64url')}`;
  const entry: KeyEntry = {
    id,
    sha256: hashKey(key).toString('hex'),
    ...(models === undefined ? {} : { models: models.split(',').map((name) => name.trim()) }),
    ...limits,
    ...(expiresDays === undefined ? {} : { expires: new Date(Date.now() + expiresDays * dayMs).toISOString() }),
  };
  const line = JSON.stringify(entry);
  if (file === undefined) {
    parseKeyFile('the new key', line);
    process.stdout.write(`${key}\n`);
    process.stderr.write(`dynamo: append this line to the key file:\n${line}\n`);
    return 0;
  }
  const present = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '';
    throw new UsageError(`${file} can't be read: ${error.message}`);
  });
  const between = present === '' || present.endsWith('\n') ? '' : '\n';
  // The whole file as it will be: an id that is there already is found before anything is written.
  parseKeyFile(file, `${present}${between}${line}\n`);
  await appendFile(file, `${between}${line}\n`, { mode: 0o600 }).catch((error: Error) => {
    throw new UsageError(`--file '${file}' can't be written: ${error.message}`);
  });
  process.stdout.write(`${key}\n`);
  process.stderr.write(`dynamo: the key of '${id}' is in ${file}; frontends that use the file know it within a second. It is shown only here.\n`);
  return 0;
}
