import type { FetchRules } from './rules.ts';
import { mediaError } from './url-policy.ts';

/**
 * The bytes of a `data:` URL: what follows its first comma is standard base64 with padding, and its media type is not believed
 * (spec multimodal 3).
 *
 * @throws DynamoError `payload_too_large`, or `invalid_argument` when it is malformed or empty.
 */
export function readDataUrl(url: string, rules: FetchRules): Uint8Array {
  if (url.length > rules.maxDataUrlChars) {
    throw mediaError('fetch', `The data URL is longer than ${rules.maxDataUrlChars} characters`, { code: 'payload_too_large' });
  }
  const comma = url.indexOf(',');
  if (comma === -1) throw mediaError('fetch', 'The data URL has no comma');
  const text = url.slice(comma + 1).trimEnd();
  if (text === '') throw mediaError('fetch', 'The data URL is empty');
  const padding = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0;
  // A search for what doesn't belong, as a match of the whole would keep a stack as long as the text.
  if (text.length % 4 !== 0 || /[^A-Za-z0-9+/]/.test(text.slice(0, text.length - padding))) throw mediaError('fetch', 'The data URL is not base64');
  return Buffer.from(text, 'base64');
}
