import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { DynamoError } from '@dynamo/runtime';
import type { Settings } from './settings.ts';
import { UsageError } from './usage.ts';

/** Folder of the bundled tokenizer. */
export const bundledModel: string = fileURLToPath(new URL('../model', import.meta.url));

/** The model that a worker serves. */
export interface ModelFolder {
  readonly path: string;
  readonly name: string;
}

/** The folder that was given, or the bundled one; its name is what clients ask for. */
export function modelFolder(settings: Pick<Settings, 'modelPath' | 'worker'>): ModelFolder {
  const { modelPath, worker } = settings;
  return { path: modelPath ?? bundledModel, name: worker.name ?? (modelPath === undefined ? 'echo' : nameOf(modelPath)) };
}

/** A GGUF file is known by its own name, wherever it is; everything else as it was given. */
const nameOf = (modelPath: string): string => (/\.gguf$/i.test(modelPath) ? basename(modelPath).slice(0, -'.gguf'.length) : modelPath);

/**
 * Fetches a model that was named and not given as a folder, and shows how far it is; what a folder is stays as it is.
 *
 * @throws UsageError for what is neither there nor a model that can be had.
 */
export async function fetchNamedModel(modelPath: string | undefined): Promise<string | undefined> {
  if (modelPath === undefined || existsSync(modelPath)) return modelPath;
  const { fetchModel, hubPlace, looksLikeModelId } = await import('@dynamo/llm/internal');
  const [model, file] = partsOf(modelPath);
  if (!looksLikeModelId(model)) throw new UsageError(`model ${/\.gguf$/i.test(modelPath) ? 'file' : 'folder'} '${modelPath}' does not exist`);
  const show = progressLine(modelPath, process.stderr);
  try {
    const folder = await fetchModel(model, hubPlace(process.env), { onProgress: show.report, ...(file === undefined ? {} : { file }) });
    return file === undefined ? folder : join(folder, file);
  } catch (error) {
    const unusable = ['not_found', 'unauthenticated', 'permission_denied'] as const;
    if (unusable.some((code) => DynamoError.is(error, code))) throw new UsageError((error as DynamoError).message);
    throw error;
  } finally {
    show.end();
  }
}

/** `OWNER/NAME[@REVISION]`, and the file behind it where one of a GGUF repository is named: those have a file a quantization. */
function partsOf(source: string): readonly [model: string, file?: string] {
  const found = /^((?:hf:\/\/)?[^/@]+\/[^/@]+(?:@[^/]+)?)\/([^/]+\.gguf)$/i.exec(source);
  return found === null ? [source] : [found[1] ?? '', found[2] ?? ''];
}

/** One line on a terminal that is written again and again, a few times a second; a pipe gets one line when all is here. */
export function progressLine(
  model: string,
  out: Pick<NodeJS.WriteStream, 'write'> & { readonly isTTY?: boolean },
  now: () => number = () => performance.now(),
): { report(progress: { receivedBytes: number; totalBytes: number }): void; end(): void } {
  let shownAt = -Infinity;
  let last: string | undefined;
  return {
    report({ receivedBytes, totalBytes }) {
      const done = receivedBytes >= totalBytes;
      last = `dynamo: ${model}: ${megabytes(receivedBytes)} of ${megabytes(totalBytes)} MB`;
      if (out.isTTY !== true || (!done && now() - shownAt < 200)) return;
      shownAt = now();
      out.write(`\r${last}`);
    },
    end() {
      if (last !== undefined) out.write(out.isTTY === true ? `\r${last}\n` : `${last}\n`);
    },
  };
}

const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(1);
