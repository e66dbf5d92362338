import { createHash, createHmac } from 'node:crypto';

/** Whom a store knows. */
export interface S3Credentials {
  readonly accessKey: string;
  readonly secretKey: string;
  /** Of credentials that were lent for a while. */
  readonly sessionToken?: string;
}

const hashOfNothing = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';

/** Headers that sign a GET without a body for S3, by AWS's Signature Version 4. The path must be encoded already. */
export function signGet(
  url: URL,
  { credentials, region, at }: { credentials: S3Credentials; region: string; at: Date },
): Readonly<Record<string, string>> {
  const time = at.toISOString().replace(/[-:]|\.\d+/g, '');
  const scope = `${time.slice(0, 8)}/${region}/s3/aws4_request`;
  const headers: Record<string, string> = { host: url.host, 'x-amz-content-sha256': hashOfNothing, 'x-amz-date': time };
  if (credentials.sessionToken !== undefined) headers['x-amz-security-token'] = credentials.sessionToken;
  const names = Object.keys(headers).toSorted();
  const lines = names.map((name) => `${name}:${headers[name]}\n`).join('');
  const signed = names.join(';');
  const canonical = `GET\n${url.pathname}\n${queryOf(url)}\n${lines}\n${signed}\n${hashOfNothing}`;
  const text = `AWS4-HMAC-SHA256\n${time}\n${scope}\n${createHash('sha256').update(canonical).digest('hex')}`;
  const key = scope.split('/').reduce<Buffer | string>((secret, part) => mac(secret, part), `AWS4${credentials.secretKey}`);
  const { host: _host, ...sent } = headers;
  return {
    ...sent,
    authorization: `AWS4-HMAC-SHA256 Credential=${credentials.accessKey}/${scope}, SignedHeaders=${signed}, Signature=${mac(key, text).toString('hex')}`,
  };
}

const mac = (key: Buffer | string, text: string): Buffer => createHmac('sha256', key).update(text).digest();

/** Text as it stands in a signed address: all but letters, digits and `-._~` as percent and hex. */
export const uriEncode = (text: string): string =>
  encodeURIComponent(text).replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);

const queryOf = (url: URL): string =>
  [...url.searchParams]
    .map(([name, value]) => `${uriEncode(name)}=${uriEncode(value)}`)
    .toSorted()
    .join('&');
