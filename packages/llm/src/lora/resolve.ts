import { resolve } from 'node:path';
import { DynamoError } from '@dynamo/runtime';
import { isAdapterFolder, isFolder } from './adapter-folder.ts';
import { LoraDownloader, type LoraSource } from './downloader.ts';

/**
 * The folder of an adapter, from a path or a URI, with the files that make it one.
 *
 * @throws DynamoError `not_found` when there is none, `invalid_argument` when it lacks its files, and what a download may throw.
 */
export async function resolveAdapter(
  source: string,
  {
    env,
    cache,
    sources,
  }: {
    env: Readonly<Record<string, string | undefined>>;
    cache?: string | undefined;
    sources?: Readonly<Record<string, LoraSource>> | undefined;
  },
): Promise<string> {
  const downloader = new LoraDownloader({ env, ...(cache === undefined ? {} : { cache }), ...(sources === undefined ? {} : { sources }) });
  const path = source.includes('://') ? await fetched(downloader, source) : resolve(source);
  if (!(await isFolder(path))) throw new DynamoError('not_found', `LoRA directory '${source}' does not exist`, { data: { path } });
  if (await isAdapterFolder(path)) return path;
  throw new DynamoError('invalid_argument', `LoRA directory '${source}' is not a valid LoRA: expected adapter_config.json and adapter weights`, {
    data: { path },
  });
}

async function fetched(downloader: LoraDownloader, uri: string): Promise<string> {
  try {
    return await downloader.downloadIfNeeded(uri);
  } catch (cause) {
    if (!DynamoError.is(cause)) throw cause;
    throw new DynamoError(cause.code, `Failed to download LoRA: ${cause.message}`, { cause, data: cause.data });
  }
}
