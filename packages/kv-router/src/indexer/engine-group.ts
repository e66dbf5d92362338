import type { Logger } from '@dynamo/runtime';
import { refusal } from '../http/refusal.ts';
import { PromptHasher, type PromptHashes } from '../hash/block-hash.ts';
import { prefixIndexes } from '../prefix/index.ts';
import type { PrefixIndex } from '../prefix/prefix-index.ts';
import { type EngineFeed, openEngineFeed } from '../publish/engine-feed.ts';
import { checkAddress } from '../publish/zmq-address.ts';
import { RankTable } from '../ranks.ts';
import type { RegisterEngine } from '../wire/indexer-bodies.ts';
import type { RouterEvent } from '../wire/kv-event.ts';
import type { RankOverlap } from '../wire/overlap-scores.ts';

/** One engine process: a socket for each of its ranks. */
interface Engine {
  readonly endpoints: Map<number, string>;
  readonly feeds: EngineFeed[];
}

/** The engines of one model and routing group, and one index of what they hold. */
export class EngineGroup implements AsyncDisposable {
  readonly model: string;
  readonly group: string;
  readonly blockSize: number;
  readonly index: PrefixIndex;
  readonly #ranks = new RankTable();
  readonly #hasher: PromptHasher;
  readonly #engines = new Map<bigint, Engine>();
  readonly #log: Logger;

  constructor(options: { readonly model: string; readonly group: string; readonly blockSize: number; readonly log: Logger }) {
    this.model = options.model;
    this.group = options.group;
    this.blockSize = options.blockSize;
    this.#log = options.log;
    this.index = prefixIndexes.events({ ranks: this.#ranks, clock: () => performance.now() });
    this.#hasher = new PromptHasher(this.index.core);
  }

  /** In order of their ids. */
  get engines(): readonly { readonly instanceId: bigint; readonly endpoints: ReadonlyMap<number, string> }[] {
    return [...this.#engines]
      .map(([instanceId, { endpoints }]) => ({ instanceId, endpoints }))
      .toSorted((a, b) => (a.instanceId < b.instanceId ? -1 : 1));
  }

  has(instanceId: bigint): boolean {
    return this.#engines.has(instanceId);
  }

  /** Whether the rank of an engine is listened to. */
  hears(instanceId: bigint, dpRank: number): boolean {
    return this.#engines.get(instanceId)?.endpoints.has(dpRank) === true;
  }

  async listen({ instanceId, endpoint, dpRank, blockSize, replayEndpoint }: RegisterEngine): Promise<void> {
    checkAddress(endpoint);
    const engine: Engine = this.#engines.get(instanceId) ?? { endpoints: new Map(), feeds: [] };
    this.#engines.set(instanceId, engine);
    engine.endpoints.set(dpRank, endpoint);
    try {
      const replay = replayEndpoint === undefined ? {} : { replay: { zmq: replayEndpoint } };
      const source = { zmq: endpoint, ...replay };
      const { index } = this;
      const parts = { index, ranks: this.#ranks, hasher: this.#hasher, log: this.#log };
      engine.feeds.push(await openEngineFeed({ workerId: instanceId, dpRank, blockSize, source, ...parts }));
    } catch (error) {
      engine.endpoints.delete(dpRank);
      if (engine.endpoints.size === 0) this.#engines.delete(instanceId);
      throw error;
    }
  }

  /** Listens no more to an engine, and forgets what it holds. */
  async drop(instanceId: bigint): Promise<void> {
    const engine = this.#engines.get(instanceId);
    this.#engines.delete(instanceId);
    for (const feed of engine?.feeds ?? []) await feed[Symbol.asyncDispose]();
    for (const rank of this.#ranks.ranksOf(instanceId).slice()) {
      this.index.forget(rank);
      this.#ranks.release(rank);
    }
  }

  /** Takes over what another indexer knows. */
  apply(event: RouterEvent): void {
    this.index.apply(event);
  }

  /** What each rank holds of a prompt. */
  query(tokens: readonly number[], options: { readonly lora: string | undefined; readonly salt: string | undefined }): RankOverlap[] {
    return this.#overlaps(this.#hasher.hashes(tokens, { blockSize: this.blockSize, ...options }));
  }

  queryHashes(local: readonly bigint[]): RankOverlap[] {
    return this.#overlaps({ local: BigUint64Array.from(local), sequence: new BigUint64Array(0) });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { instanceId } of this.engines) await this.drop(instanceId);
  }

  #overlaps(prompt: PromptHashes): RankOverlap[] {
    if (prompt.local.length === 0) return [];
    const { device, hostPinned, disk, external } = this.index.overlaps(prompt);
    const out: RankOverlap[] = [];
    for (let rank = 0; rank < this.#ranks.count; rank++) {
      if (!this.#ranks.has(rank)) continue;
      const held = { device: device[rank] ?? 0, host: hostPinned[rank] ?? 0, disk: (disk[rank] ?? 0) + (external[rank] ?? 0) };
      out.push({ workerId: this.#ranks.workerIdOf(rank), dpRank: this.#ranks.dpRankOf(rank), ...held });
    }
    return out;
  }
}

/** Refuses a block size that differs from that of the group. */
export function checkBlockSize({ model, group, blockSize }: Pick<EngineGroup, 'model' | 'group' | 'blockSize'>, requested: number): void {
  if (blockSize !== requested)
    throw refusal(409, `block_size mismatch for model=${model} routing_group=${group}: existing=${blockSize}, requested=${requested}`);
}
