import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** PEM files of one authority and of two that it has signed, good for 127.0.0.1 and one day. */
export interface Certificates extends Disposable {
  readonly ca: string;
  readonly server: { readonly cert: string; readonly key: string };
  readonly client: { readonly cert: string; readonly key: string };
}

/** Why certificates can't be made on this machine; undefined when they can. */
export const missingOpenssl = (): string | undefined =>
  spawnSync('openssl', ['version'], { stdio: 'ignore' }).error === undefined ? undefined : 'openssl is not installed';

/** Makes them anew in a folder of their own. */
export function makeCertificates(): Certificates {
  const folder = mkdtempSync(join(tmpdir(), 'certificates-'));
  const at = (name: string): string => join(folder, name);
  const openssl = (...args: string[]): void => void execFileSync('openssl', args, { stdio: 'ignore' });
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  openssl('req', '-x509', ...key, '-days', '1', '-subj', '/CN=test authority', '-keyout', at('ca.key'), '-out', at('ca.pem'));
  writeFileSync(at('names'), 'subjectAltName=IP:127.0.0.1,DNS:localhost\nextendedKeyUsage=serverAuth,clientAuth\n');
  const sign = (name: string): { cert: string; key: string } => {
    openssl('req', ...key, '-subj', `/CN=${name}`, '-keyout', at(`${name}.key`), '-out', at(`${name}.csr`));
    const ca = ['-CA', at('ca.pem'), '-CAkey', at('ca.key'), '-CAcreateserial'];
    openssl('x509', '-req', '-in', at(`${name}.csr`), ...ca, '-days', '1', '-extfile', at('names'), '-out', at(`${name}.pem`));
    return { cert: at(`${name}.pem`), key: at(`${name}.key`) };
  };
  return {
    ca: at('ca.pem'),
    server: sign('server'),
    client: sign('client'),
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
  };
}
