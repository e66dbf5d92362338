import { isIP } from 'node:net';
import { DynamoError, type DynamoErrorCode } from '@dynamo/runtime';
import { isBlockedAddress, isBlockedName } from './addresses.ts';
import type { FetchRules } from './rules.ts';

/** A medium that isn't taken; `step` says what went wrong: its URL, the way to it, or its bytes. */
export function mediaError(step: 'url' | 'fetch' | 'decode', message: string, more: { code?: DynamoErrorCode; cause?: unknown } = {}): DynamoError {
  return new DynamoError(more.code ?? 'invalid_argument', message, { data: { step }, ...(more.cause !== undefined && { cause: more.cause }) });
}

const refused = (message: string): DynamoError => mediaError('fetch', message);
const badUrl = (message: string): DynamoError => mediaError('url', message);

/** A host as it is compared: `URL` has undone case, IDNA and odd numbers already; brackets and one trailing dot are left. */
export function hostOf(url: URL): string {
  return url.hostname.replace(/^\[(.*)\]$/, '$1').replace(/\.$/, '');
}

/** How the URL spells its host, for messages that quote it: `URL` rewrites addresses. */
function spelledHost(text: string, url: URL): string {
  const authority = /^[^:]*:\/\/([^/?#\\]*)/.exec(text)?.[1]?.replace(/^.*@/, '').toLowerCase() ?? '';
  return (/^\[([^\]]*)\]/.exec(authority)?.[1] ?? authority.replace(/:\d*$/, '')) || hostOf(url);
}

const schemeOf = (text: string): string => /^\s*([a-z][a-z0-9+.-]*):/i.exec(text)?.[1]?.toLowerCase() ?? '';

/**
 * Judges a URL before anybody is asked for its host (spec multimodal 3). Every redirect is judged by it again.
 *
 * @throws DynamoError `invalid_argument` with the text of the policy.
 */
export function checkUrl(text: string, rules: FetchRules): URL {
  const url = rules.policy === 'worker' ? workerUrl(text, rules) : frontendUrl(text, rules);
  if (url.protocol !== 'http:' && url.protocol !== 'https:') return url;
  if (url.username !== '' || url.password !== '') throw refused('Credentials in a URL are not allowed');
  const host = hostOf(url);
  const domains = rules.allowedDomains;
  if (domains !== undefined && !domains.includes(host)) throw refused(`Host '${host}' is not in the allowed_media_domains list`);
  return url;
}

function parsed(text: string): URL {
  const url = URL.parse(text);
  if (url === null) throw badUrl('The URL is invalid');
  return url;
}

function frontendUrl(text: string, rules: FetchRules): URL {
  const url = parsed(text);
  if (url.protocol === 'data:') return url;
  if (url.protocol !== 'http:' && url.protocol !== 'https:') throw badUrl('Only HTTP(S) and data URLs are allowed');
  const host = hostOf(url);
  if (isIP(host) !== 0 && !rules.allowDirectIp) throw refused('Direct IP access is not allowed');
  if (url.port !== '' && !rules.allowDirectPort) throw refused('Direct port access is not allowed');
  if (!rules.allowPrivateIps) {
    if (isBlockedName(host)) throw refused(`Host '${host}' is blocked`);
    if (isIP(host) !== 0 && isBlockedAddress(host)) throw refused(`Address '${host}' is in a blocked range`);
  }
  return url;
}

/** The Python workers' texts, word for word (vectors/multimodal/url_policy_python.json). */
function workerUrl(text: string, rules: FetchRules): URL {
  if (text === '') throw badUrl('URL is empty');
  const scheme = schemeOf(text);
  if (scheme === 'file' && rules.localPath !== undefined) return parsed(text);
  if (scheme === 'data') return parsed(text);
  if (scheme !== 'http' && scheme !== 'https') throw badUrl(`URL scheme '${scheme}' not allowed`);
  if (scheme === 'http' && !rules.allowPrivateIps) throw refused('http:// URLs are not allowed; set DYN_MM_ALLOW_INTERNAL=1 to enable');
  if (/^\s*[a-z]+:(?!\/\/[^/\\?#])/i.test(text)) throw badUrl(`URL has no host component: '${text}'`);
  const url = parsed(text);
  if (rules.allowPrivateIps) return url;
  const host = hostOf(url);
  if (isBlockedName(host)) throw refused(`Host '${host}' is blocked (resolves to internal service)`);
  if (isIP(host) !== 0 && isBlockedAddress(host)) throw refused(`IP literal '${spelledHost(text, url)}' is in a blocked range`);
  return url;
}

/** Whether a URL names a host inside this machine, its cluster or a private network: it is no place for a server to be sent to. */
export function leadsInside(text: string): boolean {
  const url = URL.parse(text);
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:')) return false;
  const host = hostOf(url);
  return isBlockedName(host) || (isIP(host) !== 0 && isBlockedAddress(host));
}
