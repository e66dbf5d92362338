import type { LookupAddress } from 'node:dns';
import { once } from 'node:events';
import { request as plainRequest, type ClientRequest, type IncomingMessage } from 'node:http';
import { request as secureRequest } from 'node:https';
import { DynamoError } from '@dynamo/runtime';
import { readBody } from './body.ts';
import { lookupOf, pinned, type Resolve } from './resolve.ts';
import type { FetchRules } from './rules.ts';
import { checkUrl, hostOf, mediaError } from './url-policy.ts';

const redirects: readonly number[] = [301, 302, 303, 307, 308];

/** Gets a URL that `checkUrl` let pass. One time limit covers look-ups, redirects and the last byte. */
export async function fetchHttp(url: URL, rules: FetchRules, resolve: Resolve, signal?: AbortSignal): Promise<Uint8Array> {
  const limit = AbortSignal.timeout(rules.timeoutMs);
  const within = signal === undefined ? limit : AbortSignal.any([signal, limit]);
  try {
    return await followed(url, rules, resolve, within);
  } catch (error) {
    signal?.throwIfAborted();
    if (limit.aborted)
      throw mediaError('fetch', `The media did not arrive within ${rules.timeoutMs} ms`, { code: 'deadline_exceeded', cause: error });
    if (DynamoError.is(error)) throw error;
    throw mediaError('fetch', `Media cannot be fetched from ${hostOf(url)}`, { code: 'cannot_connect', cause: error });
  }
}

async function followed(first: URL, rules: FetchRules, resolve: Resolve, signal: AbortSignal): Promise<Uint8Array> {
  let url = first;
  for (let hop = 0; ; hop++) {
    const addresses = await orAborted(pinned(hostOf(url), rules, resolve), signal);
    const sent = send(url, addresses, rules, signal);
    try {
      const [response] = (await once(sent, 'response', { signal })) as [IncomingMessage];
      const { location } = response.headers;
      const status = response.statusCode as number;
      if (!redirects.includes(status) || location === undefined) return await taken(response, status, rules);
      if (hop === rules.maxRedirects) throw mediaError('fetch', `More than ${rules.maxRedirects} redirects`);
      url = redirected(location, url, rules);
    } finally {
      // Nobody hears what happens to a request that is given up.
      sent.on('error', () => {});
      sent.destroy();
    }
  }
}

/** Look-ups can't be stopped; nobody waits for them past the limit. */
async function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  const aborted = Promise.withResolvers<never>();
  const abort = (): void => aborted.reject(signal.reason);
  signal.addEventListener('abort', abort);
  try {
    return await Promise.race([work, aborted.promise]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}

function send(url: URL, addresses: readonly LookupAddress[], rules: FetchRules, signal: AbortSignal): ClientRequest {
  // No agent and so no connection that another URL has opened.
  const headers = { 'user-agent': rules.userAgent, accept: '*/*', 'accept-encoding': 'identity' };
  const options = { agent: false, lookup: lookupOf(addresses), signal, headers } as const;
  const sent = url.protocol === 'https:' ? secureRequest(url, options) : plainRequest(url, options);
  sent.end();
  return sent;
}

async function taken(response: IncomingMessage, status: number, rules: FetchRules): Promise<Uint8Array> {
  if (status < 200 || status >= 300) throw mediaError('fetch', `The server of the media answered ${status}`);
  const bytes = await readBody(response, rules);
  if (bytes.byteLength === 0) throw mediaError('fetch', 'The media are empty');
  return bytes;
}

/** Where a redirect leads, judged like a URL that a user sent; only servers may follow servers. */
function redirected(location: string, from: URL, rules: FetchRules): URL {
  const target = URL.parse(location, from.href);
  if (target === null) throw mediaError('fetch', 'A redirect leads to an invalid URL');
  if (target.protocol !== 'http:' && target.protocol !== 'https:') throw mediaError('fetch', 'A redirect leads away from HTTP');
  return checkUrl(target.href, rules);
}
