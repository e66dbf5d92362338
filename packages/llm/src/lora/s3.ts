import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { DynamoError } from '@dynamo/runtime';
import { type ListedObject, readListing } from './s3-listing.ts';
import { type S3Credentials, signGet, uriEncode } from './sigv4.ts';

/** A folder of a store and how to get at it. */
export interface S3Place {
  readonly uri: string;
  /** Address of the bucket, without a slash at its end. */
  readonly base: string;
  /** What the keys begin with, with a slash at its end; empty for a whole bucket. */
  readonly prefix: string;
  readonly region: string;
  readonly credentials: S3Credentials;
  /** Milliseconds for the whole of a download. */
  readonly timeoutMs: number;
}

/** What a test may set. */
export interface S3Internals {
  /** Wait before the second attempt; it doubles with each, up to `maxRetryMs`. */
  readonly retryMs?: number;
  /** How long a store may send nothing. */
  readonly stallMs?: number;
}

/** Attempts a file, the wait before the second, and the longest wait (spec lora-recorder-misc 2). */
const attempts = 3;
const defaultRetryMs = 1_000;
const maxRetryMs = 30_000;
const defaultStallMs = 30_000;
const defaultTimeoutSecs = 3_600;
/** An adapter has a handful of files. */
const maxObjects = 1_000;

/**
 * Reads `s3://bucket/prefix` with the variables AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_REGION,
 * AWS_ENDPOINT, AWS_ALLOW_HTTP and LORA_DOWNLOAD_TIMEOUT_SECS.
 *
 * @throws DynamoError `unauthenticated` without credentials, `invalid_argument` for a URI or an endpoint of no use.
 */
export function s3Place(uri: string, env: Readonly<Record<string, string | undefined>>): S3Place {
  const [, bucket = '', path = ''] = /^s3:\/\/([^/]*)\/?(.*)$/s.exec(uri) ?? [];
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(bucket)) throw new DynamoError('invalid_argument', `'${uri}' names no bucket`);
  const set = (name: string): string | undefined => env[name] || undefined;
  const accessKey = set('AWS_ACCESS_KEY_ID');
  const secretKey = set('AWS_SECRET_ACCESS_KEY');
  if (accessKey === undefined || secretKey === undefined)
    throw new DynamoError('unauthenticated', `${uri} needs credentials: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY`);
  const sessionToken = set('AWS_SESSION_TOKEN');
  const region = set('AWS_REGION') ?? 'us-east-1';
  const endpoint = (set('AWS_ENDPOINT') ?? set('AWS_ENDPOINT_URL'))?.replace(/\/+$/, '');
  if (endpoint !== undefined) checkEndpoint(endpoint, set('AWS_ALLOW_HTTP'));
  // A dot in a bucket's name fits no certificate of the store.
  const own = bucket.includes('.') ? `https://s3.${region}.amazonaws.com/${bucket}` : `https://${bucket}.s3.${region}.amazonaws.com`;
  const seconds = Number(set('LORA_DOWNLOAD_TIMEOUT_SECS') ?? defaultTimeoutSecs);
  const prefix = path.replace(/\/+$/, '');
  return {
    uri,
    base: endpoint === undefined ? own : `${endpoint}/${bucket}`,
    prefix: prefix === '' ? '' : `${prefix}/`,
    region,
    credentials: { accessKey, secretKey, ...(sessionToken === undefined ? {} : { sessionToken }) },
    timeoutMs: (seconds > 0 ? Math.min(seconds, 1_000_000) : defaultTimeoutSecs) * 1_000,
  };
}

function checkEndpoint(endpoint: string, allowHttp: string | undefined): void {
  const protocol = URL.canParse(endpoint) ? new URL(endpoint).protocol : '';
  if (protocol === 'https:') return;
  if (protocol !== 'http:') throw new DynamoError('invalid_argument', `AWS_ENDPOINT '${endpoint}' is no HTTP address`);
  if (!['1', 'true', 'yes', 'on'].includes((allowHttp ?? '').toLowerCase()))
    throw new DynamoError('invalid_argument', `AWS_ENDPOINT '${endpoint}' is plain HTTP: set AWS_ALLOW_HTTP=true to allow it`);
}

/**
 * Downloads every object below the place into a folder, each file whole: its length is that of the listing, and its MD5 that of the
 * entity tag where that is one.
 *
 * @throws DynamoError `not_found`, `unauthenticated`, `permission_denied`, `deadline_exceeded` (the whole took too long, or the store
 * went silent), `disconnected` (half a file, or another's), `cannot_connect`, `unavailable`, `invalid_argument` (a key that leads out of the folder).
 */
export async function downloadObjects(place: S3Place, folder: string, options: S3Internals & { signal?: AbortSignal } = {}): Promise<void> {
  const whole = AbortSignal.timeout(place.timeoutMs);
  const signal = options.signal === undefined ? whole : AbortSignal.any([whole, options.signal]);
  const going = { place, signal, retryMs: defaultRetryMs, stallMs: defaultStallMs, ...options, whole };
  const objects = await retrying(going, () => listAll(going));
  if (objects.length === 0) throw new DynamoError('not_found', `LoRA ${place.uri} not found in any source`);
  for (const object of objects) {
    const path = join(folder, safeName(object.key.slice(place.prefix.length)));
    await mkdir(dirname(path), { recursive: true });
    await retrying(going, () => downloadObject(going, object, path));
  }
}

interface Going {
  readonly place: S3Place;
  readonly signal: AbortSignal;
  readonly whole: AbortSignal;
  readonly retryMs: number;
  readonly stallMs: number;
}

async function listAll(going: Going): Promise<ListedObject[]> {
  const { place } = going;
  const all: ListedObject[] = [];
  let next: string | undefined;
  do {
    const query: Record<string, string> = { 'list-type': '2' };
    if (place.prefix !== '') query['prefix'] = place.prefix;
    if (next !== undefined) query['continuation-token'] = next;
    const text = await request(going, { key: '', query }, ({ body }) => textOf(body, place.uri));
    const page = readListing(text, place.uri);
    // A key that ends with a slash stands for a folder.
    all.push(...page.objects.filter(({ key }) => key.startsWith(place.prefix) && !key.endsWith('/')));
    if (all.length > maxObjects) throw new DynamoError('invalid_argument', `${place.uri} has more than ${maxObjects} objects: no adapter has`);
    next = page.next;
  } while (next !== undefined);
  return all;
}

/** Whoever fills a bucket chooses its keys: none may lead out of the folder. */
function safeName(name: string): string {
  const parts = name.split('/');
  if (name.includes('\0') || name.includes('\\') || parts.some((part) => part === '' || part === '.' || part === '..'))
    throw new DynamoError('invalid_argument', `object '${name}' leads out of its folder`, { data: { key: name } });
  return name;
}

async function downloadObject(going: Going, object: ListedObject, path: string): Promise<void> {
  const hash = createHash('md5');
  let size = 0;
  let hashed = true;
  await request(going, { key: object.key, query: {} }, async ({ body, headers }) => {
    hashed = tagIsHash(headers);
    const counted = async function* (): AsyncGenerator<Uint8Array> {
      for await (const piece of body) {
        size += piece.length;
        if (size > object.size) break;
        hash.update(piece);
        yield piece;
      }
    };
    await pipeline(counted, createWriteStream(path));
  }).catch(async (error: unknown) => {
    await rm(path, { force: true });
    throw error;
  });
  const digest = hash.digest('hex');
  const wrong =
    size !== object.size
      ? `${size} of ${object.size} bytes`
      : hashed && object.md5 !== undefined && object.md5 !== digest
        ? 'other bytes than listed'
        : '';
  if (wrong === '') return;
  await rm(path, { force: true });
  throw new DynamoError('disconnected', `object '${object.key}' of ${going.place.uri} came with ${wrong}`, { data: { key: object.key } });
}

/** An object that the store encrypts with a key of somebody else's has a tag that says nothing of its bytes. */
function tagIsHash(headers: Headers): boolean {
  const encryption = headers.get('x-amz-server-side-encryption') ?? 'AES256';
  return encryption === 'AES256' && !headers.has('x-amz-server-side-encryption-customer-algorithm');
}

/** Most bytes of one page of a listing, which has up to a thousand keys of up to a kilobyte. */
const maxListing = 8 * 1024 * 1024;

async function textOf(body: AsyncIterable<Uint8Array>, uri: string): Promise<string> {
  const pieces: Uint8Array[] = [];
  let size = 0;
  for await (const piece of body) {
    size += piece.length;
    if (size > maxListing) throw new DynamoError('backend_protocol', `${uri}: the store's listing is too long`);
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString('utf8');
}

/** What a store answers. */
interface StoreAnswer {
  readonly headers: Headers;
  readonly body: AsyncIterable<Uint8Array>;
}

/** One signed GET, its body read by `read`; ended when nothing comes for too long. */
async function request<T>(
  going: Going,
  { key, query }: { key: string; query: Record<string, string> },
  read: (answer: StoreAnswer) => Promise<T>,
): Promise<T> {
  const { place, signal, whole, stallMs } = going;
  const url = new URL(`${place.base}/${key.split('/').map(uriEncode).join('/')}`);
  for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
  // Spaces are signed as %20.
  url.search = url.search.replaceAll('+', '%20');
  using watch = new StallWatch(signal, stallMs);
  try {
    const headers = signGet(url, { credentials: place.credentials, region: place.region, at: new Date() });
    const response = await fetch(url, { headers: { ...headers, 'accept-encoding': 'identity' }, signal: watch.signal, redirect: 'manual' });
    if (!response.ok || response.body === null) throw await refused(response, place.uri);
    return await read({ headers: response.headers, body: watch.over(response.body) });
  } catch (error) {
    if (DynamoError.is(error)) throw error;
    if (whole.aborted) throw new DynamoError('deadline_exceeded', `${place.uri} took longer than ${place.timeoutMs} ms`, { cause: error });
    if (signal.aborted) throw new DynamoError('cancelled', `the download of ${place.uri} was cancelled`, { cause: error });
    if (watch.stalled) throw new DynamoError('deadline_exceeded', `${place.uri} sent nothing for ${stallMs} ms`, { cause: error });
    const why = (error as { cause?: Error }).cause?.message ?? (error as Error).message;
    throw new DynamoError('disconnected', `${place.uri} can't be read: ${why}`, { cause: error });
  }
}

/** Aborts a request when nothing has come for a while. */
class StallWatch implements Disposable {
  readonly #controller = new AbortController();
  readonly #outer: AbortSignal;
  readonly #timer: NodeJS.Timeout;
  stalled = false;

  constructor(outer: AbortSignal, ms: number) {
    this.#outer = outer;
    this.#timer = setTimeout(() => {
      this.stalled = true;
      this.#controller.abort();
    }, ms);
    outer.addEventListener('abort', this.#onAbort, { once: true });
    if (outer.aborted) this.#onAbort();
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** The same pieces, each a sign of life. */
  async *over(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const piece of body) {
      this.#timer.refresh();
      yield piece;
    }
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.#outer.removeEventListener('abort', this.#onAbort);
  }

  readonly #onAbort = (): void => this.#controller.abort(this.#outer.reason);
}

async function refused(response: Response, uri: string): Promise<DynamoError> {
  // An error page is short; what is longer is not read.
  const text = Number(response.headers.get('content-length') ?? 0) > 65_536 ? '' : (await response.text()).slice(0, 65_536);
  const code = /<Code>([^<]*)<\/Code>/.exec(text)?.[1];
  const what = `${uri} is refused by its store: HTTP ${response.status}${code === undefined ? '' : ` ${code}`}`;
  if (code === 'InvalidAccessKeyId' || code === 'SignatureDoesNotMatch' || response.status === 401) return new DynamoError('unauthenticated', what);
  if (response.status === 403) return new DynamoError('permission_denied', what);
  if (response.status === 404) return new DynamoError('not_found', what);
  return new DynamoError(response.status === 429 || response.status >= 500 ? 'unavailable' : 'backend_protocol', what);
}

/** What may go better the next time; a store that has been silent once has had its chance. */
const passing: readonly string[] = ['disconnected', 'unavailable', 'cannot_connect'];

async function retrying<T>({ retryMs, signal }: Going, run: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await run();
    } catch (error) {
      if (attempt === attempts || !DynamoError.is(error) || !passing.includes(error.code)) throw error;
      // The next attempt says what ended the wait.
      await sleep(Math.min(retryMs * 2 ** (attempt - 1), maxRetryMs), undefined, { signal }).catch(() => undefined);
    }
  }
}
