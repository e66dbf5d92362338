import { open, realpath } from 'node:fs/promises';
import { sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { DynamoError } from '@dynamo/runtime';
import type { FetchRules } from './rules.ts';
import { mediaError } from './url-policy.ts';

/**
 * Reads a `file:` URL that lies under `localPath` once all links are followed.
 *
 * @throws DynamoError `invalid_argument` when it lies elsewhere or can't be read, `payload_too_large`.
 */
export async function readLocalFile(url: URL, root: string, rules: FetchRules): Promise<Uint8Array> {
  try {
    const [path, folder] = await Promise.all([realpath(fileURLToPath(url)), realpath(root)]);
    if (!path.startsWith(folder.endsWith(sep) ? folder : folder + sep)) throw mediaError('fetch', 'The file lies outside of the allowed path');
    await using file = await open(path, 'r');
    const { size } = await file.stat();
    if (size > rules.maxBytes) throw mediaError('fetch', `The media are larger than ${rules.maxBytes} bytes`, { code: 'payload_too_large' });
    const bytes = new Uint8Array(size);
    const { bytesRead } = await file.read(bytes, 0, size, 0);
    if (bytesRead === 0) throw mediaError('fetch', 'The media are empty');
    return bytes.subarray(0, bytesRead);
  } catch (error) {
    if (DynamoError.is(error)) throw error;
    throw mediaError('fetch', 'The file cannot be read', { cause: error });
  }
}
