import { createHash } from 'node:crypto';
import { DynamoError } from '@dynamo/runtime';

/** One line of a key file: who has the key, its hash, and what it may do (docs/access.md). */
export interface KeyEntry {
  /** Name of the key's owner, as logs and errors show it. */
  readonly id: string;
  /** SHA-256 of the key, in hex. */
  readonly sha256: string;
  /** Models that may be asked, by the names that clients use; all when absent. */
  readonly models?: readonly string[];
  readonly requestsPerMinute?: number;
  readonly tokensPerMinute?: number;
  /** Whether the admin routes are open to it. */
  readonly admin?: boolean;
  /** ISO date and time from which the key is refused. */
  readonly expires?: string;
}

/** Hash of a key. Keys are 256 random bits: a slow hash would add nothing, and every request pays for it. */
export const hashKey = (key: string): Buffer => createHash('sha256').update(key).digest();

const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) > 0;

const checks: Readonly<Record<keyof KeyEntry, { readonly wanted: string; readonly fits: (value: unknown) => boolean }>> = {
  id: { wanted: 'a text of 1 to 64 letters, digits, ".", "_" and "-"', fits: (value) => typeof value === 'string' && /^[\w.-]{1,64}$/.test(value) },
  sha256: { wanted: '64 hex digits', fits: (value) => typeof value === 'string' && /^[0-9a-f]{64}$/i.test(value) },
  models: { wanted: 'a list of names', fits: (value) => Array.isArray(value) && value.every((name) => typeof name === 'string') },
  requestsPerMinute: { wanted: 'a whole number from 1', fits: isCount },
  tokensPerMinute: { wanted: 'a whole number from 1', fits: isCount },
  admin: { wanted: 'true or false', fits: (value) => typeof value === 'boolean' },
  expires: { wanted: 'an ISO date', fits: (value) => typeof value === 'string' && !Number.isNaN(Date.parse(value)) },
};

/**
 * Reads a key file: one JSON object a line; empty lines and those that begin with # say nothing.
 *
 * @throws DynamoError `invalid_argument` with the file, the line and the member: half a key file would lock people out or let them in.
 */
export function parseKeyFile(path: string, text: string): readonly KeyEntry[] {
  const entries: KeyEntry[] = [];
  const [ids, hashes] = [new Set<string>(), new Set<string>()];
  for (const [index, line] of text.split('\n').entries()) {
    if (line.trim() === '' || line.trimStart().startsWith('#')) continue;
    const at = `${path} line ${index + 1}`;
    const entry = parseEntry(line, at);
    if (ids.has(entry.id) || hashes.has(entry.sha256.toLowerCase())) throw unusable(at, `id "${entry.id}" or its hash is there twice`);
    ids.add(entry.id);
    hashes.add(entry.sha256.toLowerCase());
    entries.push(entry);
  }
  return entries;
}

function parseEntry(line: string, at: string): KeyEntry {
  let entry: unknown;
  try {
    entry = JSON.parse(line);
  } catch {
    throw unusable(at, 'is no JSON');
  }
  if (typeof entry !== 'object' || entry === null || Array.isArray(entry)) throw unusable(at, 'is no JSON object');
  for (const [name, value] of Object.entries(entry)) {
    if (!Object.hasOwn(checks, name)) throw unusable(at, `"${name}" is no member of a key; there are ${Object.keys(checks).join(', ')}`);
    const { wanted, fits } = checks[name as keyof KeyEntry];
    if (!fits(value)) throw unusable(at, `"${name}" must be ${wanted}`);
  }
  for (const name of ['id', 'sha256']) if (!Object.hasOwn(entry, name)) throw unusable(at, `"${name}" is missing`);
  return entry as KeyEntry;
}

const unusable = (at: string, what: string): DynamoError => new DynamoError('invalid_argument', `${at}: ${what}`, { data: { at } });
