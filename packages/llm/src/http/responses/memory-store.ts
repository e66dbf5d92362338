import { type KeptResponse, type ResponseStore, sizeOf } from './store.ts';

/** Keeps responses in this process, the ones that were asked for last. */
export class MemoryResponses implements ResponseStore {
  /** From the one that was asked for longest ago to the newest. */
  readonly #kept = new Map<string, { readonly response: KeptResponse; readonly bytes: number }>();
  readonly #limit: number;
  #bytes = 0;

  constructor({ limitBytes }: { limitBytes: number }) {
    this.#limit = limitBytes;
  }

  /** What is kept now. */
  get bytes(): number {
    return this.#bytes;
  }

  put(response: KeptResponse): void {
    const bytes = sizeOf(response);
    this.#drop(response.id);
    if (bytes > this.#limit) return;
    this.#kept.set(response.id, { response, bytes });
    this.#bytes += bytes;
    for (const id of this.#kept.keys()) {
      if (this.#bytes <= this.#limit) break;
      this.#drop(id);
    }
  }

  async get(id: string): Promise<KeptResponse | undefined> {
    const found = this.#kept.get(id);
    if (found === undefined) return undefined;
    this.#kept.delete(id);
    this.#kept.set(id, found);
    return found.response;
  }

  async delete(id: string): Promise<boolean> {
    return this.#drop(id);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#kept.clear();
    this.#bytes = 0;
  }

  #drop(id: string): boolean {
    const found = this.#kept.get(id);
    if (found === undefined) return false;
    this.#bytes -= found.bytes;
    return this.#kept.delete(id);
  }
}
