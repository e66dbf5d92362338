import { DynamoError } from '../../error.ts';

/** How this process shows a NATS server who it is. */
export type NatsAuth =
  | { readonly kind: 'password'; readonly user: string; readonly password: string }
  | { readonly kind: 'token'; readonly token: string }
  | { readonly kind: 'nkey'; readonly seed: string }
  | { readonly kind: 'credentials'; readonly path: string };

/** Where NATS is and how to get in (spec runtime-wire 2). */
export interface NatsSettings {
  /** Addresses to try, as they were given but without names and passwords, which must not reach a log. */
  readonly servers: readonly string[];
  readonly auth: NatsAuth;
  /** How long opening may take with all its addresses, in milliseconds. */
  readonly connectMs: number;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** How long the first connection may take, in milliseconds. */
const defaultConnectMs = 5_000;

/** Reads `NATS_SERVER`, which may list several addresses with commas, and `NATS_AUTH_*`. */
export function readNatsSettings(env: Environment): NatsSettings {
  const urls = (env['NATS_SERVER'] || 'nats://localhost:4222').split(',').map((text) => parse(text.trim()));
  const [first] = urls;
  return { servers: urls.map((url) => `${url.protocol}//${url.host}`), auth: authOf(env, first), connectMs: defaultConnectMs };
}

/** The first way in that is set wins, in this order; the real client says user `user` when there is none. */
function authOf(env: Environment, url: URL | undefined): NatsAuth {
  const set = (name: string): string | undefined => env[`NATS_AUTH_${name}`] || undefined;
  const user = set('USERNAME');
  const password = set('PASSWORD');
  const token = set('TOKEN');
  const seed = set('NKEY');
  const path = set('CREDENTIALS_FILE');
  if (user !== undefined && password !== undefined) return { kind: 'password', user, password };
  if (token !== undefined) return { kind: 'token', token };
  if (seed !== undefined) return { kind: 'nkey', seed };
  if (path !== undefined) return { kind: 'credentials', path };
  if (url !== undefined && url.username !== '')
    return { kind: 'password', user: decodeURIComponent(url.username), password: decodeURIComponent(url.password) };
  return { kind: 'password', user: 'user', password: 'user' };
}

function parse(text: string): URL {
  const url = URL.parse(/^[a-z]+:\/\//i.test(text) ? text : `nats://${text}`);
  if (url === null || !['nats:', 'tls:'].includes(url.protocol) || url.hostname === '')
    throw new DynamoError('invalid_argument', `NATS_SERVER='${withoutSecret(text)}' is not an address such as nats://HOST:PORT`, {
      data: { name: 'NATS_SERVER', value: withoutSecret(text) },
    });
  return url;
}

const withoutSecret = (text: string): string => text.replace(/\/\/[^@/]*@/, '//');
