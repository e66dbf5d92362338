import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A certificate and its key, as PEM files. */
export interface TestPair {
  readonly cert: string;
  readonly key: string;
}

/** PEM files of one authority and of two that it has signed, good for 127.0.0.1 and one day. */
export interface Certificates extends Disposable {
  readonly ca: string;
  readonly server: TestPair;
  readonly client: TestPair;
}

/** A folder of certificates that are good for one day. Disposing deletes it. */
export interface CertificateFolder extends Disposable {
  readonly path: string;
  /** A new authority's own certificate. */
  authority(name: string): TestPair;
  /** A certificate signed by an authority, for servers at `names` (default this machine) and for clients. */
  signed(name: string, by: TestPair, names?: string): TestPair;
}

/** Why certificates can't be made on this machine; undefined when they can. */
export const missingOpenssl = (): string | undefined =>
  spawnSync('openssl', ['version'], { stdio: 'ignore' }).error === undefined ? undefined : 'openssl is not installed';

/** Opens an empty folder. */
export function openCertificateFolder(): CertificateFolder {
  const path = mkdtempSync(join(tmpdir(), 'certificates-'));
  const openssl = (...args: string[]): void => void execFileSync('openssl', args, { stdio: 'ignore' });
  const filesOf = (name: string): TestPair => ({ cert: join(path, `${name}.pem`), key: join(path, `${name}.key`) });
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  return {
    path,
    authority(name) {
      const { cert, key } = filesOf(name);
      openssl('req', '-x509', ...newKey, '-days', '1', '-subj', `/CN=${name}`, '-keyout', key, '-out', cert);
      return { cert, key };
    },
    signed(name, by, names = 'IP:127.0.0.1,DNS:localhost') {
      const { cert, key } = filesOf(name);
      const [request, extensions] = [join(path, `${name}.csr`), join(path, `${name}.ext`)];
      writeFileSync(extensions, `subjectAltName=${names}\nbasicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth,clientAuth\n`);
      openssl('req', ...newKey, '-subj', `/CN=${name}`, '-keyout', key, '-out', request);
      const signer = ['-CA', by.cert, '-CAkey', by.key, '-CAcreateserial'];
      openssl('x509', '-req', '-in', request, ...signer, '-days', '1', '-extfile', extensions, '-out', cert);
      return { cert, key };
    },
    [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }),
  };
}

/** Makes them anew in a folder of their own. */
export function makeCertificates(): Certificates {
  const folder = openCertificateFolder();
  const ca = folder.authority('authority');
  return { ca: ca.cert, server: folder.signed('server', ca), client: folder.signed('client', ca), [Symbol.dispose]: () => folder[Symbol.dispose]() };
}
