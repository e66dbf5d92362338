import { fileURLToPath } from 'node:url';
import type { Settings } from './settings.ts';

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
