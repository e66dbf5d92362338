import { DynamoError } from '../../error.ts';

/** Where etcd is, and who we are there (spec runtime-wire 2). */
export interface EtcdOptions {
  /** `http://host:port` or `https://host:port`, at least one and all of one kind. */
  readonly endpoints: readonly string[];
  /** How long our records outlive us, in seconds. */
  readonly leaseTtlSeconds: number;
  readonly login?: { readonly username: string; readonly password: string };
  /** Paths of PEM files, used with https. */
  readonly tls: { readonly ca?: string; readonly clientCert?: string; readonly clientKey?: string };
}

/** Time to live that 1.6.1 gives its lease, in seconds (spec runtime-wire 3.3). */
const defaultTtlSeconds = 30;

/** Longest that etcd grants, in seconds. */
const longestTtlSeconds = 9_000_000_000;

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Reads the `ETCD_*` variables; an empty one counts as unset.
 *
 * @throws DynamoError `invalid_argument` naming the variable and its value.
 */
export function etcdOptionsOf(env: Environment): EtcdOptions {
  const tls = {
    ...given('ca', env['ETCD_AUTH_CA']),
    ...given('clientCert', env['ETCD_AUTH_CLIENT_CERT']),
    ...given('clientKey', env['ETCD_AUTH_CLIENT_KEY']),
  };
  together(env, 'ETCD_AUTH_CLIENT_CERT', 'ETCD_AUTH_CLIENT_KEY');
  together(env, 'ETCD_AUTH_USERNAME', 'ETCD_AUTH_PASSWORD');
  const username = env['ETCD_AUTH_USERNAME'];
  const password = env['ETCD_AUTH_PASSWORD'];
  return {
    endpoints: endpointsOf(env['ETCD_ENDPOINTS'] || 'http://localhost:2379', { secure: tls.ca !== undefined }),
    leaseTtlSeconds: ttlOf(env['ETCD_LEASE_TTL']),
    ...(username && password ? { login: { username, password } } : {}),
    tls,
  };
}

const given = <K extends string>(name: K, value: string | undefined): Partial<Record<K, string>> =>
  value ? ({ [name]: value } as Record<K, string>) : {};

function ttlOf(text: string | undefined): number {
  if (!text) return defaultTtlSeconds;
  const seconds = Number(text);
  if (!/^\d{1,10}$/.test(text) || seconds < 1 || seconds > longestTtlSeconds)
    throw bad('ETCD_LEASE_TTL', text, `expected whole seconds from 1 to ${longestTtlSeconds}`);
  return seconds;
}

/** Takes `http://host:port`, `https://host:port` and `host:port`; the port is 2379 where none is given. */
function endpointsOf(text: string, options: { secure: boolean }): string[] {
  const endpoints = text.split(',').map((part) => {
    const found = /^(?:(https?):\/\/)?(\[[0-9a-f:.]+\]|[a-z0-9_.-]+)(?::(\d{1,5}))?\/?$/i.exec(part.trim());
    const port = Number(found?.[3] ?? 2379);
    if (found === null || port < 1 || port > 65_535) throw bad('ETCD_ENDPOINTS', text, `'${part.trim()}' is no http://host:port`);
    return `${found[1]?.toLowerCase() ?? (options.secure ? 'https' : 'http')}://${found[2]}:${port}`;
  });
  const secure = endpoints.filter((endpoint) => endpoint.startsWith('https:')).length;
  if (secure !== 0 && secure !== endpoints.length) throw bad('ETCD_ENDPOINTS', text, 'expected only http or only https');
  return endpoints;
}

/** Either both are set or neither is. Their values stay out of the text: one is a password. */
function together(env: Environment, one: string, other: string): void {
  for (const [set, unset] of [
    [one, other],
    [other, one],
  ] as const)
    if (env[set] && !env[unset])
      throw new DynamoError('invalid_argument', `${unset}='' is not set although ${set} is`, { data: { name: unset, value: '' } });
}

const bad = (name: string, value: string, expected: string): DynamoError =>
  new DynamoError('invalid_argument', `${name}='${value}': ${expected}`, { data: { name, value } });
