import type { DistributedRuntime } from '@dynamo/runtime';
import { decodeInstance } from '@dynamo/runtime/internal';

/** Every instance in discovery, as `/health` lists it: its record's own text without the `type` member (spec llm 3.1). */
export class LiveInstances implements AsyncDisposable {
  readonly #stop = new AbortController();
  readonly #loop: Promise<void>;
  readonly #known = new Map<string, { path: string; text: string }>();

  constructor(runtime: DistributedRuntime) {
    this.#loop = this.#follow(runtime).catch((error: unknown) => runtime.log.error({ error: String(error) }, 'the watch of instances has ended'));
  }

  /** JSON of `/health`. */
  health(): string {
    const endpoints = [...new Set([...this.#known.values()].map(({ path }) => path))].toSorted();
    const instances = [...this.#known.values()].map(({ text }) => text).join(',');
    return `{"status":"healthy","endpoints":${JSON.stringify(endpoints)},"instances":[${instances}]}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#loop;
  }

  async #follow(runtime: DistributedRuntime): Promise<void> {
    for await (const change of runtime.discovery.watch({ bucket: 'v1/instances' }, { signal: this.#stop.signal })) {
      if (change.type === 'delete') this.#known.delete(change.key);
      else for (const record of change.type === 'put' ? [change.record] : change.records) this.#put(record);
    }
  }

  #put(record: Parameters<typeof decodeInstance>[0]): void {
    const instance = decodeInstance(record);
    if (instance === undefined) return;
    const path = `dyn://${instance.namespace}.${instance.component}.${instance.endpoint}`;
    // The record's text keeps every digit of its 64-bit id.
    this.#known.set(record.key, { path, text: record.value.replace(/"type"\s*:\s*"Endpoint"\s*,?/, '').replace(/,\s*}$/, '}') });
  }
}
