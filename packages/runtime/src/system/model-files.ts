import { stat } from 'node:fs/promises';
import type { EndpointName } from '../endpoint/path.ts';
import { type Reply, text } from './http.ts';

/** Which file of which model, as a card names it; `suffix` is that of a LoRA adapter. */
export interface ModelFileName {
  readonly endpoint: EndpointName;
  readonly slug: string;
  readonly suffix?: string;
  readonly file: string;
}

/** Files that the status server hands out. A path in a request is a name to look up and never a way through folders. */
export class ModelFiles {
  readonly #files = new Map<string, string>();

  /** Hands out the file at `path`; disposing ends it. */
  share(name: ModelFileName, path: string): { readonly urlPath: string } & Disposable {
    const { endpoint, slug, suffix = '_base', file } = name;
    const parts = [endpoint.namespace, endpoint.component, endpoint.endpoint, slug, suffix, file];
    const key = parts.join('/');
    this.#files.set(key, path);
    return {
      urlPath: `/v1/metadata/${parts.map(encodeURIComponent).join('/')}`,
      [Symbol.dispose]: () => {
        if (this.#files.get(key) === path) this.#files.delete(key);
      },
    };
  }

  /** Answers GET /v1/metadata/{namespace}/{component}/{endpoint}/{slug}/{suffix}/{file} (spec runtime-wire 14). */
  async answer(parts: readonly string[]): Promise<Reply> {
    const path = this.#files.get(parts.join('/'));
    const found = path === undefined ? undefined : await stat(path).catch(() => undefined);
    if (path === undefined || found?.isFile() !== true) return text(404, 'Not found');
    return { status: 200, type: 'application/octet-stream', file: { path, bytes: found.size } };
  }
}
