import { readFile } from 'node:fs/promises';
import type { SecureServerOptions } from 'node:http2';
import { createSecureContext } from 'node:tls';
import { DynamoError } from '@dynamo/runtime';

/** Files of a server that speaks TLS, in PEM. */
export interface HttpTlsFiles {
  certPath?: string;
  keyPath?: string;
  /** Whoever connects must show a certificate signed by this authority. */
  clientCaPath?: string;
}

/**
 * Reads the files of a TLS server, once and before it listens; undefined where TLS is not asked for.
 *
 * @throws DynamoError `invalid_argument` in the words of the real frontend (spec llm 3.5), and why where it says less.
 */
export async function loadHttpTls({ certPath, keyPath, clientCaPath }: HttpTlsFiles): Promise<SecureServerOptions | undefined> {
  if ((certPath === undefined) !== (keyPath === undefined)) throw unusable('--tls-cert-path and --tls-key-path must be provided together');
  if (certPath === undefined || keyPath === undefined) {
    if (clientCaPath !== undefined) throw unusable('--tls-client-ca-cert-path requires --tls-cert-path and --tls-key-path');
    return undefined;
  }
  const own = { cert: await load('TLS certificate', certPath), key: await load('TLS key', keyPath) };
  const ca = clientCaPath === undefined ? undefined : await load('TLS client CA certificate', clientCaPath);
  const options = { ...own, ...(ca === undefined ? {} : { ca, requestCert: true, rejectUnauthorized: true }) };
  try {
    createSecureContext(options);
  } catch (cause) {
    throw unusable(`Failed to create TLS config: ${cause instanceof Error ? cause.message : String(cause)}`, cause);
  }
  return options;
}

async function load(what: string, path: string): Promise<Buffer> {
  return readFile(path).catch((cause: unknown) => {
    const { code, message } = cause as NodeJS.ErrnoException;
    throw unusable(code === 'ENOENT' ? `${what} not found: ${path}` : `${what} can't be read: ${message}`, cause);
  });
}

const unusable = (message: string, cause?: unknown): DynamoError => new DynamoError('invalid_argument', message, { cause });
