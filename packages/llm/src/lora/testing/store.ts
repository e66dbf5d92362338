import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { signGet, uriEncode } from '../sigv4.ts';

/** What goes wrong with one object, as often as `times` says: for ever by default. */
export interface Fault {
  readonly how: 'half' | 'stall' | 'other-bytes' | 'error';
  times?: number;
}

/** A small object store over HTTP that checks signatures, pages its listings, and can be made to fail. */
export interface Store extends AsyncDisposable {
  readonly env: Readonly<Record<string, string>>;
  /** Bytes by key of the bucket `loras`. */
  readonly objects: Map<string, Buffer>;
  readonly faults: Map<string, Fault>;
  /** Keys that were asked for; listings as `?`. */
  readonly asked: string[];
}

const credentials = { accessKey: 'AKIDSTORE', secretKey: 'secret/of+store' };
const region = 'eu-test-1';

/** Opens a store on a free port. */
export async function openStore(): Promise<Store> {
  const objects = new Map<string, Buffer>();
  const faults = new Map<string, Fault>();
  const asked: string[] = [];
  const server = createServer((request, response) => answer({ objects, faults, asked }, request, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    objects,
    faults,
    asked,
    env: {
      AWS_ACCESS_KEY_ID: credentials.accessKey,
      AWS_SECRET_ACCESS_KEY: credentials.secretKey,
      AWS_REGION: region,
      AWS_ENDPOINT: `http://127.0.0.1:${port}`,
      AWS_ALLOW_HTTP: 'true',
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

type Parts = Pick<Store, 'objects' | 'faults' | 'asked'>;

function answer(parts: Parts, request: IncomingMessage, response: ServerResponse): void {
  const url = new URL(request.url ?? '/', `http://${request.headers.host}`);
  if (!isSigned(url, request)) return refuse(response, 403, 'SignatureDoesNotMatch');
  const [, bucket, ...key] = url.pathname.split('/');
  if (bucket !== 'loras') return refuse(response, 404, 'NoSuchBucket');
  const name = decodeURIComponent(key.join('/'));
  parts.asked.push(name || '?');
  if (name === '') return list(parts.objects, url, response);
  const bytes = parts.objects.get(name);
  if (bytes === undefined) return refuse(response, 404, 'NoSuchKey');
  send(bytes, takeFault(parts.faults, name), response);
}

/** Two at a time, so that every listing of an adapter has pages. */
function list(objects: ReadonlyMap<string, Buffer>, url: URL, response: ServerResponse): void {
  const prefix = url.searchParams.get('prefix') ?? '';
  const from = Number(url.searchParams.get('continuation-token') ?? 0);
  const keys = [...objects.keys()].filter((key) => key.startsWith(prefix)).toSorted();
  const page = keys.slice(from, from + 2).map((key) => {
    const bytes = objects.get(key) as Buffer;
    return `<Contents><Key>${escape(key)}</Key><ETag>&quot;${md5(bytes)}&quot;</ETag><Size>${bytes.length}</Size></Contents>`;
  });
  const next = from + 2 < keys.length ? `<IsTruncated>true</IsTruncated><NextContinuationToken>${from + 2}</NextContinuationToken>` : '';
  response.end(`<?xml version="1.0"?><ListBucketResult><Name>loras</Name>${next}${page.join('')}</ListBucketResult>`);
}

function takeFault(faults: ReadonlyMap<string, Fault>, name: string): Fault['how'] | undefined {
  const fault = faults.get(name);
  if (fault === undefined || fault.times === 0) return undefined;
  if (fault.times !== undefined) fault.times--;
  return fault.how;
}

function send(bytes: Buffer, fault: Fault['how'] | undefined, response: ServerResponse): void {
  if (fault === 'error') return refuse(response, 503, 'SlowDown');
  response.setHeader('content-length', bytes.length);
  if (fault === undefined) return void response.end(bytes);
  if (fault === 'other-bytes') return void response.end(Buffer.alloc(bytes.length, 1));
  response.write(bytes.subarray(0, bytes.length >> 1), () => {
    if (fault === 'half') response.destroy();
  });
}

function refuse(response: ServerResponse, status: number, code: string): void {
  response.writeHead(status, { 'content-type': 'application/xml' }).end(`<Error><Code>${code}</Code></Error>`);
}

/** The signature is that of the request as it came. */
function isSigned(url: URL, { headers }: IncomingMessage): boolean {
  const date = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(String(headers['x-amz-date']));
  if (date === null) return false;
  const [, year, month, day, hour, minute, second] = date;
  const at = new Date(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
  return signGet(url, { credentials, region, at })['authorization'] === headers.authorization && url.pathname === encoded(url.pathname);
}

const encoded = (path: string): string =>
  path
    .split('/')
    .map((part) => uriEncode(decodeURIComponent(part)))
    .join('/');
const md5 = (bytes: Buffer): string => createHash('md5').update(bytes).digest('hex');
const escape = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
