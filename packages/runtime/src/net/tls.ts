import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createSecureContext, type SecureContext, type TlsOptions } from 'node:tls';
import { DynamoError } from '../error.ts';
import type { Logger } from '../log.ts';
import type { NamedFile, TlsClientSettings, TlsServerSettings, TlsSettings } from './tls-settings.ts';

/** What a listener needs to speak TLS. */
export type TlsServer = Readonly<TlsOptions>;

/** What a dialler needs to speak TLS. */
export interface TlsClient {
  readonly secureContext: SecureContext;
  readonly rejectUnauthorized: boolean;
  readonly servername?: string;
}

/** The TLS of a runtime, its files read; a side that is undefined speaks plain text. */
export interface Tls {
  readonly server: TlsServer | undefined;
  readonly client: TlsClient | undefined;
}

/**
 * Reads and checks every file, once and before anything connects.
 *
 * @throws DynamoError `invalid_argument` with the variable and the path of the first file that can't be used.
 */
export async function loadTls(settings: TlsSettings, log: Logger): Promise<Tls> {
  const server = settings.server === undefined ? undefined : await loadServer(settings.server, settings.handshakeMs);
  const client = settings.client === undefined ? undefined : await loadClient(settings.client);
  if (server !== undefined) log.info({ clientCertificates: settings.server?.clientCa === undefined ? 'none' : 'required' }, 'TLS is on');
  if (server !== undefined && client === undefined)
    log.warn({}, 'this process answers in TLS and connects in plain text: set DYN_TCP_TLS_CA_CERT_PATH to reach others like itself');
  if (client?.rejectUnauthorized === false) log.warn({}, 'DYN_TCP_TLS_INSECURE: whoever answers is believed');
  return { server, client };
}

async function loadServer({ cert, key, clientCa }: TlsServerSettings, handshakeTimeout: number): Promise<TlsServer> {
  const own = await loadPair(cert, key);
  if (clientCa === undefined) return { ...own, handshakeTimeout };
  return { ...own, handshakeTimeout, ca: await loadCertificates(clientCa), requestCert: true, rejectUnauthorized: true };
}

async function loadClient({ ca, identity, insecure, serverName }: TlsClientSettings): Promise<TlsClient> {
  const own = identity === undefined ? {} : await loadPair(identity.cert, identity.key);
  const secureContext = createSecureContext({ ...own, ...(ca === undefined ? {} : { ca: await loadCertificates(ca) }) });
  return { secureContext, rejectUnauthorized: !insecure, ...(serverName === undefined ? {} : { servername: serverName }) };
}

async function loadPair(certFile: NamedFile, keyFile: NamedFile): Promise<{ cert: Buffer; key: Buffer }> {
  const cert = await loadCertificates(certFile);
  const key = await load(keyFile, createPrivateKey);
  try {
    createSecureContext({ cert, key });
  } catch (error) {
    throw unusable(keyFile, `does not belong to ${certFile.path}`, error);
  }
  return { cert, key };
}

const loadCertificates = (file: NamedFile): Promise<Buffer> => load(file, (text) => new X509Certificate(text));

async function load(file: NamedFile, check: (text: Buffer) => unknown): Promise<Buffer> {
  const text = await readFile(file.path).catch((error: unknown) => {
    throw unusable(file, "can't be read", error);
  });
  try {
    check(text);
  } catch (error) {
    throw unusable(file, "can't be used", error);
  }
  return text;
}

function unusable({ name, path }: NamedFile, what: string, cause: unknown): DynamoError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new DynamoError('invalid_argument', `${name}: ${path} ${what}: ${why}`, { cause, data: { name, path } });
}

/** Whether a peer that should speak plain text begins as TLS does: a handshake or an alert of version 3. */
export const speaksTls = (bytes: Uint8Array): boolean => (bytes[0] === 0x16 || bytes[0] === 0x15) && bytes[1] === 3 && (bytes[2] ?? 9) <= 4;
