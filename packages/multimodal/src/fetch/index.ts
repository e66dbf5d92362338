import { readDataUrl } from './data-url.ts';
import { readLocalFile } from './file.ts';
import { fetchHttp } from './http.ts';
import { systemResolve, type Resolve } from './resolve.ts';
import type { FetchRules } from './rules.ts';
import { checkUrl } from './url-policy.ts';

/**
 * Gets the bytes of a URL under one policy: judged, resolved once, fetched from just these addresses, bounded all the way.
 *
 * @throws DynamoError `invalid_argument` when the policy refuses it, `cannot_connect`, `deadline_exceeded`, `payload_too_large`.
 */
export async function fetchMedia(
  text: string,
  rules: FetchRules,
  options: { signal?: AbortSignal | undefined; resolve?: Resolve | undefined } = {},
): Promise<Uint8Array> {
  options.signal?.throwIfAborted();
  // A long data URL is nothing to parse before its length is known.
  if (/^data:/i.test(text)) return readDataUrl(text, rules);
  const url = checkUrl(text, rules);
  if (url.protocol === 'data:') return readDataUrl(url.href, rules);
  if (url.protocol === 'file:') return readLocalFile(url, rules.localPath as string, rules);
  return fetchHttp(url, rules, options.resolve ?? systemResolve, options.signal);
}
