import { existsSync } from 'node:fs';
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
  return { path: modelPath ?? bundledModel, name: worker.name ?? (modelPath === undefined ? 'echo' : modelPath) };
}

/** Fetches a model that was named and not given as a folder, and shows how far it is; what a folder is stays as it is. */
export async function fetchNamedModel(modelPath: string | undefined): Promise<string | undefined> {
  if (modelPath === undefined || existsSync(modelPath)) return modelPath;
  const { fetchModel, hubPlace, looksLikeModelId } = await import('@dynamo/llm/internal');
  if (!looksLikeModelId(modelPath)) return modelPath;
  const show = progressLine(modelPath, process.stderr);
  try {
    return await fetchModel(modelPath, hubPlace(process.env), { onProgress: show.report });
  } catch (error) {
    const unusable = ['not_found', 'unauthenticated', 'permission_denied'] as const;
    if (unusable.some((code) => DynamoError.is(error, code))) throw new UsageError((error as DynamoError).message);
    throw error;
  } finally {
    show.end();
  }
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
