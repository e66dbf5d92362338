import { setTimeout as sleep } from 'node:timers/promises';
import { DistributedRuntime, type EndpointPath, type Logger } from '@dynamo/runtime';
import { collect, encodeModel, mem, MemEvents, memEvents, MemStore } from '@dynamo/runtime/internal';
import { KvPublisher } from '../kv-publisher.ts';
import { KvRouter } from '../kv-router.ts';
import type { KvRouterOptions } from '../options.ts';
import { decodeTokenRequest } from '../wire/preprocessed-request.ts';

/** A worker that keeps the blocks of every prompt that it reads, tells of them, and says in its answers what it had. */
export interface CachingWorker extends AsyncDisposable {
  readonly id: bigint;
  readonly runtime: DistributedRuntime;
  /** First tokens of the prompts in the order in which they came. */
  readonly got: number[];
  readonly cached: Set<bigint>;
  readonly publisher: KvPublisher | undefined;
  /** What it says that it had cached, in place of the truth. */
  says: ((cachedTokens: number) => number | undefined) | undefined;
  /** Whether it tells of what it stores. */
  tells: boolean;
}

/** Workers and routers of one process, who meet in memory. */
export class Cluster implements AsyncDisposable {
  readonly path: EndpointPath = 'demo.backend.generate';
  readonly blockSize = 4;
  readonly store: MemStore = new MemStore();
  readonly hub: MemEvents = new MemEvents();
  readonly #workers: CachingWorker[] = [];
  readonly #stack = new AsyncDisposableStack();

  /** How many requests each worker has got. */
  got(): number[] {
    return this.#workers.map(({ got }) => got.length);
  }

  async connect(options: { log?: Logger } = {}): Promise<DistributedRuntime> {
    return this.#stack.use(await DistributedRuntime.connect({ discovery: mem(this.store), eventPlane: memEvents(this.hub), ...options }));
  }

  async worker(options: { delayMs?: number; publishes?: boolean; config?: Record<string, unknown> } = {}): Promise<CachingWorker> {
    const { path, blockSize } = this;
    const runtime = await this.connect();
    const cached = new Set<bigint>();
    const worker: CachingWorker = {
      id: runtime.discovery.instanceId,
      runtime,
      got: [],
      cached,
      publisher: undefined,
      says: undefined,
      tells: true,
      [Symbol.asyncDispose]: () => runtime[Symbol.asyncDispose](),
    };
    this.#workers.push(worker);
    const served = await runtime.serve(path, async function* (request: unknown) {
      const { tokenIds, stop } = decodeTokenRequest(request);
      worker.got.push(tokenIds[0] ?? 0);
      const hashes = chainOf(tokenIds, blockSize);
      let known = 0;
      while (known < hashes.length && cached.has(hashes[known] as bigint)) known++;
      for (const hash of hashes) cached.add(hash);
      if (worker.tells) worker.publisher?.stored({ tokenIds, hashes });
      const counts = worker.says === undefined ? known * blockSize : worker.says(known * blockSize);
      const tokens = stop?.maxTokens ?? 1;
      for (let token = 0; token < tokens; token++) {
        await sleep(options.delayMs ?? 0);
        yield { token_ids: [token], ...(token === tokens - 1 ? { completion_usage: usageOf(tokenIds.length, tokens, counts) } : {}) };
      }
    });
    const { id, namespace, component, endpoint } = served.instance;
    const card = { display_name: 'm', runtime_config: options.config ?? {} };
    await runtime.discovery.put(encodeModel({ id, namespace, component, endpoint, card }));
    const publisher = options.publishes === false ? undefined : await KvPublisher.open(runtime, path, { blockSize });
    return Object.assign(worker, { publisher });
  }

  async router(options: Partial<KvRouterOptions> & { workers?: number; log?: Logger } = {}): Promise<KvRouter> {
    const { workers = 1, log, ...rest } = options;
    const runtime = await this.connect(log === undefined ? {} : { log });
    const router = await KvRouter.open(runtime, this.path, { blockSize: this.blockSize, ...rest });
    this.#stack.use(router);
    await router.ready({ min: workers });
    return router;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}

/** Tokens from a number on. */
export const prompt = (from: number, length = 40): number[] => Array.from({ length }, (_, index) => from + index);

/** Sends one prompt and reads the answer. */
export const ask = (router: KvRouter, tokenIds: readonly number[], options: { maxTokens?: number; instance?: bigint } = {}): Promise<unknown> => {
  const { maxTokens = 1, ...call } = options;
  return collect(router.generate({ model: 'm', tokenIds, stop: { maxTokens } }, call));
};

function chainOf(tokenIds: readonly number[], blockSize: number): bigint[] {
  let chain = 7n;
  return Array.from({ length: Math.floor(tokenIds.length / blockSize) }, (_, block) => {
    for (const token of tokenIds.slice(block * blockSize, (block + 1) * blockSize)) chain = (chain * 1_000_003n + BigInt(token)) % (2n ** 61n - 1n);
    return chain;
  });
}

const usageOf = (prompt: number, completion: number, cached: number | undefined): Record<string, unknown> => ({
  prompt_tokens: prompt,
  completion_tokens: completion,
  total_tokens: prompt + completion,
  prompt_tokens_details: cached === undefined ? null : { cached_tokens: cached },
});
