import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

/** Where models are fetched from and kept: the variables that Python's `huggingface_hub` reads, with its defaults. */
export interface HubPlace {
  /** Address of the hub, without a slash at its end. */
  readonly endpoint: string;
  /** Folder of the cache, with one folder a model. */
  readonly cache: string;
  readonly token: string | undefined;
  /** Whether nothing may be asked of the hub. */
  readonly offline: boolean;
}

/** The hub as the environment names it: `HF_ENDPOINT`, `HF_HUB_CACHE`, `HF_HOME`, `HF_TOKEN`, `HF_HUB_OFFLINE` and their like. */
export function hubPlace(env: Readonly<Record<string, string | undefined>>): HubPlace {
  const set = (...names: string[]): string | undefined => names.map((name) => env[name]).find((value) => value !== undefined && value.trim() !== '');
  const home = set('HF_HOME') ?? join(set('XDG_CACHE_HOME') ?? join(homedir(), '.cache'), 'huggingface');
  return {
    endpoint: (set('HF_ENDPOINT') ?? 'https://huggingface.co').replace(/\/+$/, ''),
    cache: set('HF_HUB_CACHE', 'HUGGINGFACE_HUB_CACHE') ?? join(home, 'hub'),
    token: set('HF_TOKEN', 'HUGGING_FACE_HUB_TOKEN')?.trim() ?? storedToken(set('HF_TOKEN_PATH') ?? join(home, 'token')),
    offline: ['1', 'ON', 'YES', 'TRUE'].includes((set('HF_HUB_OFFLINE', 'TRANSFORMERS_OFFLINE') ?? '').toUpperCase()),
  };
}

/** What a login has left behind. */
function storedToken(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim() || undefined;
  } catch {
    return undefined;
  }
}
