import type { EndpointPath } from '@dynamo/runtime';
import { batchesOf, decodeModel, type EventChange } from '@dynamo/runtime/internal';
import { forwardPassTopic, type PassHost, scopeOf } from './topic.ts';
import { decodeForwardPass, type ForwardPassMetrics } from './wire/forward-pass.ts';

/** Most workers that are remembered as gone. */
const mostGone = 1_000;

/** Hears the forward passes of all workers of an endpoint, and keeps the latest of each worker and rank while the worker is there. */
export class ForwardPassSubscriber implements AsyncDisposable {
  readonly #runtime: PassHost;
  readonly #onPass: (metrics: ForwardPassMetrics) => void;
  readonly #latest = new Map<string, { readonly metrics: ForwardPassMetrics; readonly publisher: bigint }>();
  /** Workers whose card has gone: what they still send is late. */
  readonly #gone = new Set<string>();
  readonly #stop = new AbortController();
  readonly #tasks: readonly Promise<void>[];
  #complained = false;

  private constructor(runtime: PassHost, path: EndpointPath, onPass: (metrics: ForwardPassMetrics) => void) {
    this.#runtime = runtime;
    this.#onPass = onPass;
    const told = (what: string) => (error: unknown) => runtime.log.error({ endpoint: path, error: String(error) }, what);
    this.#tasks = [
      this.#hear(path).catch(told('forward-pass metrics are not heard any more')),
      this.#watchCards(path).catch(told('workers that leave are not seen any more')),
    ];
  }

  /** Listens from now on, until it is disposed. `onPass` is called with every pass, in the order in which they came. */
  static async open(
    runtime: PassHost,
    path: EndpointPath,
    options: { readonly onPass?: (metrics: ForwardPassMetrics) => void } = {},
  ): Promise<ForwardPassSubscriber> {
    return new ForwardPassSubscriber(runtime, path, options.onPass ?? (() => {}));
  }

  /** The latest message of each worker and rank. */
  latest(): readonly ForwardPassMetrics[] {
    return [...this.#latest.values()].map(({ metrics }) => metrics);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await Promise.all(this.#tasks);
  }

  async #hear(path: EndpointPath): Promise<void> {
    for await (const batch of batchesOf(this.#runtime.events.subscribe(scopeOf(path), forwardPassTopic, { signal: this.#stop.signal })))
      for (const change of batch) this.#take(change);
  }

  #take(change: EventChange): void {
    if (change.type === 'left') this.#forget(({ publisher }) => publisher === change.publisher);
    if (change.type !== 'event') return;
    try {
      const metrics = decodeForwardPass(change.payload);
      if (this.#gone.has(metrics.workerId)) return;
      this.#latest.set(`${metrics.dpRank} ${metrics.workerId}`, { metrics, publisher: change.publisher });
      this.#onPass(metrics);
    } catch (error) {
      if (!this.#complained) this.#runtime.log.warn({ publisher: change.publisher, error: String(error) }, 'left out what a worker has published');
      this.#complained = true;
    }
  }

  async #watchCards(path: EndpointPath): Promise<void> {
    const { namespace, component } = scopeOf(path);
    const query = { bucket: 'v1/mdc', prefix: `${namespace}/${component}` } as const;
    for await (const change of this.#runtime.discovery.watch(query, { signal: this.#stop.signal })) {
      if (change.type === 'delete') this.#left(workerIn(change.key));
      else for (const record of change.type === 'put' ? [change.record] : change.records) this.#gone.delete(String(decodeModel(record)?.id));
    }
  }

  #left(worker: string | undefined): void {
    if (worker === undefined) return;
    if (this.#gone.size >= mostGone) this.#gone.delete(this.#gone.values().next().value ?? '');
    this.#gone.add(worker);
    this.#forget(({ metrics }) => metrics.workerId === worker);
  }

  #forget(judge: (entry: { readonly metrics: ForwardPassMetrics; readonly publisher: bigint }) => boolean): void {
    for (const [key, entry] of this.#latest) if (judge(entry)) this.#latest.delete(key);
  }
}

/** The worker whose card a key is: namespace, component, endpoint, id in hex, and perhaps the name of an adapter. */
function workerIn(key: string): string | undefined {
  const [, , , id, adapter] = key.split('/');
  return id === undefined || adapter !== undefined || !/^[0-9a-f]+$/.test(id) ? undefined : BigInt(`0x${id}`).toString();
}
