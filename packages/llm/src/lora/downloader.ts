import { homedir } from 'node:os';
import { join } from 'node:path';
import { DynamoError } from '@dynamo/runtime';
import { isAdapterFolder, isFolder } from './adapter-folder.ts';
import { fillFolder } from './fill-folder.ts';
import type { S3Internals } from './s3.ts';

/** Finds adapters of one URI scheme. */
export interface LoraSource {
  exists(uri: string): Promise<boolean>;
  /** Fills the folder, which is there and empty, and gives the path of the adapter. */
  download(uri: string, folder: string): Promise<string>;
}

/** Where adapters are kept and found. */
export interface LoraDownloaderOptions {
  /** By default `DYN_LORA_PATH`, else `~/.cache/dynamo_loras`. */
  readonly cache?: string;
  /** Settings and credentials of the stores; by default the process's environment. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Further schemes. */
  readonly sources?: Readonly<Record<string, LoraSource>>;
  readonly signal?: AbortSignal;
  /** What a test may set. */
  readonly internals?: S3Internals;
}

type Env = Readonly<Record<string, string | undefined>>;

/** Fetches adapters and keeps what it has fetched (spec lora-recorder-misc 2). */
export class LoraDownloader {
  readonly cache: string;
  readonly #options: LoraDownloaderOptions;
  readonly #env: Env;

  constructor(options: LoraDownloaderOptions = {}) {
    this.#options = options;
    this.#env = options.env ?? process.env;
    this.cache = options.cache ?? cacheOf(this.#env);
  }

  /** The name of a URI's folder in the cache. */
  static uriToCacheKey(uri: string): string {
    return uri.replaceAll('://', '__').replace(/[/\\.]/g, '_');
  }

  /** Where the cache has, or would have, an entry. */
  cachePath(key: string): string {
    return join(this.cache, key);
  }

  /** Whether the cache has an entry with the files that make an adapter. */
  validateCached(key: string): Promise<boolean> {
    return isAdapterFolder(this.cachePath(key));
  }

  /** Whether a download would ask nobody. A folder that a `file://` names is in no cache. */
  async isCached(uri: string): Promise<boolean> {
    if (!uri.startsWith('hf://')) return this.validateCached(LoraDownloader.uriToCacheKey(uri));
    try {
      await this.#fromHub(uri, { ...this.#env, HF_HUB_OFFLINE: '1' });
      return true;
    } catch {
      return false;
    }
  }

  /**
   * The folder of an adapter, fetched where it is not here yet. A `file://` folder is given as it is, whatever is in it.
   *
   * @throws DynamoError whose message begins with `Download failed:`; its code says why.
   */
  async downloadIfNeeded(uri: string): Promise<string> {
    try {
      return await this.#download(uri);
    } catch (cause) {
      const error = DynamoError.is(cause) ? cause : new DynamoError('unknown', String(cause), { cause });
      throw new DynamoError(error.code, `Download failed: ${error.message}`, { cause, data: { ...error.data, uri } });
    }
  }

  async #download(uri: string): Promise<string> {
    const scheme = /^([^:/]+):\/\//.exec(uri)?.[1];
    const key = LoraDownloader.uriToCacheKey(uri);
    const custom = scheme !== undefined && Object.hasOwn(this.#options.sources ?? {}, scheme) ? this.#options.sources?.[scheme] : undefined;
    if (custom !== undefined) return this.#fromSource(custom, uri, key);
    if (scheme === 'file') {
      const path = uri.slice('file://'.length);
      if (await isFolder(path)) return path;
      throw new DynamoError('not_found', `Local LoRA not found: ${uri}`);
    }
    if (scheme === 'hf') return this.#fromHub(uri, this.#env);
    if (await this.validateCached(key)) return this.cachePath(key);
    if (scheme === 's3') return this.#fromS3(uri, key);
    throw new DynamoError('not_found', `LoRA ${uri} not found in any source`);
  }

  async #fromS3(uri: string, key: string): Promise<string> {
    const { downloadObjects, s3Place } = await import('./s3.ts');
    const place = s3Place(uri, this.#env);
    const { signal, internals } = this.#options;
    return fillFolder(this.cachePath(key), (folder) => downloadObjects(place, folder, { ...internals, ...(signal === undefined ? {} : { signal }) }));
  }

  async #fromSource(source: LoraSource, uri: string, key: string): Promise<string> {
    if (await this.validateCached(key)) return this.cachePath(key);
    if (!(await source.exists(uri))) throw new DynamoError('not_found', `LoRA not found at ${uri}`);
    let elsewhere: string | undefined;
    const filled = await fillFolder(this.cachePath(key), async (folder) => {
      const path = await source.download(uri, folder);
      if (path !== folder) elsewhere = path;
      return elsewhere === undefined;
    });
    return elsewhere ?? filled;
  }

  async #fromHub(uri: string, env: Env): Promise<string> {
    const { fetchModel, hubPlace } = await import('../hub/index.ts');
    const { signal } = this.#options;
    const place = hubPlace(env);
    const path = await fetchModel(uri, place, { weights: true, ...(signal === undefined ? {} : { signal }) }).catch((error: unknown) => {
      if (place.offline && DynamoError.is(error, 'unavailable'))
        throw new DynamoError('unavailable', `HF_HUB_OFFLINE is enabled and ${withRevision(uri)} is not fully cached`, { cause: error });
      throw error;
    });
    if (await isAdapterFolder(path)) return path;
    throw new DynamoError('invalid_argument', `${uri} is not a valid LoRA: expected adapter_config.json and adapter weights`, { data: { path } });
  }
}

const withRevision = (uri: string): string => (uri.includes('@') ? uri : `${uri}@main`);

function cacheOf(env: Env): string {
  const set = (name: string): string | undefined => env[name] || undefined;
  return set('DYN_LORA_PATH') ?? join(set('HOME') ?? set('USERPROFILE') ?? (homedir() || '/tmp'), '.cache', 'dynamo_loras');
}
