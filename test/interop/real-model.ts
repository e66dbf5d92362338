import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const folder = fileURLToPath(new URL('.llama', import.meta.url));

/** A real model and the folder with the library that runs it; undefined where make-llama.sh has not fetched them. */
export const realModel: { readonly gguf: string; readonly folder: string } | undefined = existsSync(`${folder}/.complete`)
  ? { gguf: `${folder}/model.gguf`, folder }
  : undefined;

if (realModel === undefined) console.warn('not run: a real model, which test/interop/make-llama.sh fetches');
