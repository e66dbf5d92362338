import { silentLogger } from '../../log.ts';
import { loadTls, type Tls } from '../../net/tls.ts';
import { readTlsSettings } from '../../net/tls-settings.ts';
import { openCertificateFolder, type TestPair } from '../../testing/certificates.ts';

/** Reads TLS as a runtime would, from its variables. */
export const tlsFrom = (env: Record<string, string>): Promise<Tls> => loadTls({ ...readTlsSettings(env), handshakeMs: 3_000 }, silentLogger);

/** The variables of a process that shows `pair` and trusts `ca`. */
export const tlsEnv = (pair: TestPair, ca: TestPair): Record<string, string> => ({
  DYN_TCP_TLS_CERT_PATH: pair.cert,
  DYN_TCP_TLS_KEY_PATH: pair.key,
  DYN_TCP_TLS_CA_CERT_PATH: ca.cert,
});

/** The variables of a process that also shows `pair` when it connects, and lets nobody in without one. */
export const mutualEnv = (pair: TestPair, ca: TestPair): Record<string, string> => ({
  ...tlsEnv(pair, ca),
  DYN_TCP_TLS_CLIENT_CA_CERT_PATH: ca.cert,
  DYN_TCP_TLS_CLIENT_CERT_PATH: pair.cert,
  DYN_TCP_TLS_CLIENT_KEY_PATH: pair.key,
});

/** Both sides in mutual TLS, with certificates of its own. */
export async function mutualTls(): Promise<Tls> {
  using certificates = openCertificateFolder();
  const ca = certificates.authority('ca');
  return await tlsFrom(mutualEnv(certificates.signed('peer', ca), ca));
}
