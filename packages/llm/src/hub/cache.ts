import { mkdir, readdir, readFile, rename, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { randomUUID } from 'node:crypto';
import { dirname, join, relative } from 'node:path';
import { isWeights, type ModelId } from './model-id.ts';

/** What of a model has to be there. */
export interface Wanted {
  readonly weights: boolean;
  /** One file, and nothing else. */
  readonly file?: string;
}

/** One model in a cache that Python's `huggingface_hub` shares: `refs`, `snapshots` with links, and `blobs` by checksum. */
export class ModelCache {
  readonly #folder: string;

  constructor(cache: string, repo: string) {
    this.#folder = join(cache, `models--${repo.replaceAll('/', '--')}`);
  }

  snapshot(commit: string): string {
    return join(this.#folder, 'snapshots', commit);
  }

  blob(etag: string): string {
    return join(this.#folder, 'blobs', etag);
  }

  get blobs(): string {
    return join(this.#folder, 'blobs');
  }

  /** The folder of a revision that is here, whole as far as its own files can tell. */
  async find({ revision }: ModelId, { weights, file }: Wanted): Promise<string | undefined> {
    const named = await readFile(join(this.#folder, 'refs', revision), 'utf8').catch(() => undefined);
    const folder = this.snapshot(named?.trim() || revision);
    const files = await readdir(folder).catch(() => undefined);
    if (file !== undefined) return (await stat(join(folder, file)).catch(() => undefined)) === undefined ? undefined : folder;
    if (files === undefined || !configurations.some((name) => files.includes(name))) return undefined;
    return !weights || (await hasWeights(folder, files)) ? folder : undefined;
  }

  /** Notes which commit a revision is now. */
  async point(revision: string, commit: string): Promise<void> {
    if (revision === commit) return;
    const path = join(this.#folder, 'refs', revision);
    await mkdir(dirname(path), { recursive: true });
    await replace(path, (draft) => writeFile(draft, commit));
  }

  /** Shows a blob under its name in a snapshot. */
  async link(commit: string, file: string, etag: string): Promise<void> {
    const path = join(this.snapshot(commit), file);
    await mkdir(dirname(path), { recursive: true });
    await replace(path, (draft) => symlink(relative(dirname(path), this.blob(etag)), draft));
  }
}

/** What a whole model, or a whole adapter, has one of. */
const configurations: readonly string[] = ['config.json', 'params.json', 'adapter_config.json'];

/** Others see the old file or the new one, never half of it. */
async function replace(path: string, write: (draft: string) => Promise<void>): Promise<void> {
  const draft = `${path}.${randomUUID()}`;
  try {
    await write(draft);
    await rename(draft, path);
  } finally {
    await rm(draft, { force: true });
  }
}

/** Any file with weights; with an index, all that it names. */
async function hasWeights(folder: string, files: readonly string[]): Promise<boolean> {
  const index = files.find((name) => name.endsWith('.safetensors.index.json'));
  const named = index === undefined ? undefined : await readFile(join(folder, index), 'utf8').then(shardsOf, () => undefined);
  const wanted = named ?? files.filter(isWeights);
  const present = await Promise.all(
    wanted.map((name) =>
      stat(join(folder, name)).then(
        () => true,
        () => false,
      ),
    ),
  );
  return wanted.length > 0 && present.every(Boolean);
}

function shardsOf(text: string): string[] | undefined {
  try {
    const { weight_map: map } = JSON.parse(text) as { weight_map?: Record<string, string> };
    return map === undefined ? undefined : [...new Set(Object.values(map))];
  } catch {
    return undefined;
  }
}
