import { stat } from 'node:fs/promises';
import { join } from 'node:path';

/** What an adapter's weights may be called (spec lora-recorder-misc 2). */
const weights: readonly string[] = ['adapter_model.safetensors', 'adapter_model.bin', 'model.lora_weights.npy'];

/** Whether a folder holds an adapter: its configuration, and weights in one of their forms. */
export async function isAdapterFolder(path: string): Promise<boolean> {
  if (!(await isFile(join(path, 'adapter_config.json')))) return false;
  for (const name of weights) if (await isFile(join(path, name))) return true;
  return false;
}

const isFile = async (path: string): Promise<boolean> => (await stat(path).catch(() => undefined))?.isFile() === true;

/** Whether there is a folder. */
export const isFolder = async (path: string): Promise<boolean> => (await stat(path).catch(() => undefined))?.isDirectory() === true;
