import { DynamoError } from '../error.ts';

/** A file, and the variable that names it. */
export interface NamedFile {
  readonly name: string;
  readonly path: string;
}

/** What a process's TCP servers show, and whom they let in. */
export interface TlsServerSettings {
  readonly cert: NamedFile;
  readonly key: NamedFile;
  /** Whoever connects must show a certificate signed by this authority. */
  readonly clientCa?: NamedFile;
}

/** Whom a process trusts when it connects, and what it shows. */
export interface TlsClientSettings {
  readonly ca?: NamedFile;
  readonly identity?: { readonly cert: NamedFile; readonly key: NamedFile };
  /** Encrypts and verifies nothing. */
  readonly insecure: boolean;
  /** The name that a server must show, in place of the address that was dialled. */
  readonly serverName?: string;
}

/** TLS of both TCP planes (spec runtime-wire 6.1); a side that is undefined speaks plain text. */
export interface TlsSettings {
  readonly server: TlsServerSettings | undefined;
  readonly client: TlsClientSettings | undefined;
  /** How long a peer may take for its handshake, in milliseconds. */
  readonly handshakeMs: number;
}

type Environment = Readonly<Record<string, string | undefined>>;

const prefix = 'DYN_TCP_TLS_';

/** Reads `DYN_TCP_TLS_*`. Half a configuration is refused: it would speak plain text where TLS was meant. */
export function readTlsSettings(env: Environment): Omit<TlsSettings, 'handshakeMs'> {
  const file = (word: string): NamedFile | undefined => {
    const path = env[prefix + word];
    return path === undefined || path === '' ? undefined : { name: prefix + word, path };
  };
  const pair = (word: string): { cert: NamedFile; key: NamedFile } | undefined => {
    const cert = file(`${word}CERT_PATH`);
    const key = file(`${word}KEY_PATH`);
    if (cert !== undefined && key !== undefined) return { cert, key };
    const lone = cert ?? key;
    if (lone !== undefined) throw missing(lone.name, prefix + word + (cert === undefined ? 'CERT_PATH' : 'KEY_PATH'));
    return undefined;
  };
  const own = pair('');
  const clientCa = file('CLIENT_CA_CERT_PATH');
  if (clientCa !== undefined && own === undefined) throw missing(clientCa.name, `${prefix}CERT_PATH and ${prefix}KEY_PATH`);
  const server = own === undefined ? undefined : { ...own, ...(clientCa === undefined ? {} : { clientCa }) };

  const ca = file('CA_CERT_PATH');
  const identity = pair('CLIENT_');
  const insecure = ['1', 'true', 'yes', 'on'].includes((env[`${prefix}INSECURE`] ?? '').toLowerCase());
  const serverName = env[`${prefix}SERVER_NAME`];
  if (identity !== undefined && ca === undefined && !insecure) throw missing(identity.cert.name, `${prefix}CA_CERT_PATH`);
  if (ca === undefined && !insecure) return { server, client: undefined };
  const client = {
    insecure,
    ...(ca === undefined ? {} : { ca }),
    ...(identity === undefined ? {} : { identity }),
    ...(serverName === undefined || serverName === '' ? {} : { serverName }),
  };
  return { server, client };
}

const missing = (name: string, other: string): DynamoError =>
  new DynamoError('invalid_argument', `${name} is set without ${other}`, { data: { name, missing: other } });
