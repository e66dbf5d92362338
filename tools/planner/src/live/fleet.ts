import { type ForwardPassMetrics, ForwardPassSubscriber, ModelDeploymentCard, Namespace } from '@dynamo/internal';
import type { DistributedRuntime, EndpointPath } from '@dynamo/runtime';
import { parseEndpointPath } from '@dynamo/runtime/internal';
import type { Capabilities } from '../config.ts';
import type { RoleState } from '../load/decide.ts';
import type { EngineLimits, EngineKind } from '../throughput/capacity.ts';
import { PassRegression } from '../throughput/regression.ts';
import type { PassModel } from '../throughput/model.ts';

/** The workers of one role as discovery and their forward passes show them. */
export class Fleet implements AsyncDisposable {
  readonly #runtime: DistributedRuntime;
  readonly #path: EndpointPath;
  readonly #gpus: number;
  readonly #passes: ForwardPassSubscriber;
  readonly #learned: PassRegression;

  private constructor(parts: {
    runtime: DistributedRuntime;
    path: EndpointPath;
    gpus: number;
    passes: ForwardPassSubscriber;
    learned: PassRegression;
  }) {
    this.#runtime = parts.runtime;
    this.#path = parts.path;
    this.#gpus = parts.gpus;
    this.#passes = parts.passes;
    this.#learned = parts.learned;
  }

  static async open(runtime: DistributedRuntime, path: EndpointPath, options: { readonly kind: EngineKind; readonly gpus: number }): Promise<Fleet> {
    const learned = new PassRegression(options.kind);
    const onPass = ({ pass, seconds }: ForwardPassMetrics): void =>
      learned.observe({
        prefillTokens: pass.scheduledPrefillTokens,
        decodeRequests: pass.scheduledDecodes,
        decodeKvTokens: pass.scheduledDecodeKvTokens,
        seconds,
      });
    const passes = await ForwardPassSubscriber.open(runtime, path, { onPass });
    return new Fleet({ runtime, path, gpus: options.gpus, passes, learned });
  }

  /** What is there now; `expected` is how many there should be by the last decision. */
  async state(expected: number | null): Promise<RoleState & { readonly limits: EngineLimits | undefined; readonly model: PassModel | undefined }> {
    const { namespace, component, endpoint } = parseEndpointPath(this.#path);
    const instances = (await new Namespace(this.#runtime, namespace).component(component).instances()).filter((one) => one.endpoint === endpoint);
    const [published] = await ModelDeploymentCard.list(this.#runtime, { namespace, component, endpoint });
    const present = new Set(instances.map(({ id }) => String(id)));
    const engines = this.#passes
      .latest()
      .filter(({ workerId }) => present.has(workerId))
      .map(({ workerId, dpRank, pass }) => ({
        worker: workerId,
        rank: dpRank,
        queuedPrefillTokens: pass.queuedPrefillTokens,
        scheduledDecodeKv: pass.scheduledDecodeKvTokens,
        queuedDecodeKv: pass.queuedDecodeKvTokens,
      }));
    const card = published?.card;
    const { batchedTokens = null, sequences = null } = card?.runtimeConfig.options ?? {};
    const maxKvTokens = card === undefined ? null : (card.runtimeConfig.kvTokens(card.blockSize) ?? null);
    const capabilities: Capabilities | undefined =
      card === undefined ? undefined : { gpus: this.#gpus, contextLength: card.contextLength, maxKvTokens, maxBatchedTokens: batchedTokens };
    const limits =
      batchedTokens === null || sequences === null || maxKvTokens === null
        ? undefined
        : { maxBatchedTokens: batchedTokens, maxSequences: sequences, maxKvTokens };
    return {
      capabilities,
      ready: instances.length,
      ...(expected === null ? {} : { expected }),
      engines,
      limits,
      model: this.#learned.model(),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#passes[Symbol.asyncDispose]();
  }
}
