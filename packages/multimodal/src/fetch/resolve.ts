import { lookup, type LookupAddress } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';
import { isBlockedAddress } from './addresses.ts';
import type { FetchRules } from './rules.ts';
import { mediaError } from './url-policy.ts';

/** Turns a host name into all of its addresses. */
export type Resolve = (host: string) => Promise<readonly LookupAddress[]>;

/** The system's resolver. */
export const systemResolve: Resolve = (host) =>
  new Promise((resolve, reject) =>
    lookup(host, { all: true, verbatim: true }, (error, found) => {
      if (error === null) resolve(found);
      else reject(error);
    }),
  );

/**
 * Resolves a host once. The connection gets exactly these addresses: a name that answers otherwise a moment later reaches nothing.
 *
 * @throws DynamoError `invalid_argument` when one address of it is blocked, `cannot_connect` when it has none.
 */
export async function pinned(host: string, rules: FetchRules, resolve: Resolve): Promise<readonly LookupAddress[]> {
  const version = isIP(host);
  const found = version !== 0 ? [{ address: host, family: version }] : await asked(host, resolve);
  if (found.length === 0) throw mediaError('fetch', `Host '${host}' has no address`, { code: 'cannot_connect' });
  if (!rules.allowPrivateIps) {
    for (const { address } of found) {
      if (isBlockedAddress(address)) throw mediaError('fetch', `Host '${host}' resolves to a blocked address`);
    }
  }
  return found;
}

async function asked(host: string, resolve: Resolve): Promise<readonly LookupAddress[]> {
  try {
    return await resolve(host);
  } catch (error) {
    throw mediaError('fetch', `Host '${host}' cannot be resolved`, { code: 'cannot_connect', cause: error });
  }
}

/** A `lookup` for sockets that knows one answer. */
export function lookupOf(addresses: readonly LookupAddress[]): LookupFunction {
  return (_host, options, done) => {
    if (options.all === true) return done(null, [...addresses]);
    const first = addresses[0] as LookupAddress;
    done(null, first.address, first.family);
  };
}
