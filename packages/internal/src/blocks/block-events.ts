import { KvPublisher } from '@dynamo/kv-router';
import { type KvChange, publishChanges, type Tier } from '@dynamo/kv-router/internal';
import { DynamoError, type Logger } from '@dynamo/runtime';
import type { TokenBlock } from './block-hasher.ts';

/** Hears of changes of a tier, those of one call together. */
export type BlockEventSink = (tier: Tier, changes: readonly KvChange[]) => void;

/** Events that wait for `take` at most. */
const mostKept = 65_536;

/** Gathers what one call changes and tells it at the call's end (spec block-manager 4, kv-router 2). */
export class BlockEvents {
  readonly #sinks: readonly BlockEventSink[];
  readonly #log: Logger;
  #pending: { tier: Tier; change: KvChange }[] = [];
  #kept: { tier: Tier; change: KvChange }[] | undefined;
  #lost = 0;
  #failed = 0;

  /** @throws DynamoError `invalid_argument` for what is neither a function nor a `KvPublisher`. */
  constructor(to: object | undefined, log: Logger) {
    this.#log = log;
    if (to === undefined) this.#sinks = [];
    else if (to instanceof KvPublisher) this.#sinks = [(tier, changes) => publishChanges(to, changes, tier)];
    else if (typeof to === 'function') this.#sinks = [to as BlockEventSink];
    else throw new DynamoError('invalid_argument', 'events must be a KvPublisher or a function');
  }

  stored(tier: Tier, block: TokenBlock): void {
    const blocks = [{ blockHash: block.sequenceHash, tokensHash: block.tokensHash }];
    this.#pending.push({ tier, change: { type: 'stored', parent: block.parentHash, blocks } });
  }

  removed(tier: Tier, hash: bigint): void {
    this.#pending.push({ tier, change: { type: 'removed', hashes: [hash] } });
  }

  /** Tells what has gathered. A sink that fails is told of in the log: the pools have changed already. */
  flush(): void {
    const pending = this.#pending;
    if (pending.length === 0) return;
    this.#pending = [];
    this.#keep(pending);
    for (const sink of this.#sinks) {
      try {
        for (const [tier, changes] of runs(pending)) sink(tier, changes);
      } catch (error) {
        if (this.#failed++ % 1_000 === 0) this.#log.warn({ error, failed: this.#failed }, 'could not tell routers of changed blocks');
      }
    }
  }

  /** From now on, changes are kept for `take` too. */
  keep(): void {
    this.#kept ??= [];
  }

  /** The changes since the last call. @throws DynamoError `queue_limit_exceeded` after so many that some were lost. */
  take(): { tier: Tier; change: KvChange }[] {
    const kept = this.#kept ?? [];
    const lost = this.#lost;
    if (this.#kept !== undefined) this.#kept = [];
    this.#lost = 0;
    if (lost > 0) throw new DynamoError('queue_limit_exceeded', `${lost} changes of blocks were lost: nobody took them`, { data: { lost } });
    return kept;
  }

  #keep(changes: readonly { tier: Tier; change: KvChange }[]): void {
    if (this.#kept === undefined) return;
    const room = Math.min(changes.length, mostKept - this.#kept.length);
    this.#kept.push(...changes.slice(0, room));
    this.#lost += changes.length - room;
  }
}

/** Neighbours of one tier, in one list each. */
function runs(changes: readonly { tier: Tier; change: KvChange }[]): [Tier, KvChange[]][] {
  const out: [Tier, KvChange[]][] = [];
  for (const { tier, change } of changes) {
    const last = out.at(-1);
    if (last !== undefined && last[0] === tier) last[1].push(change);
    else out.push([tier, [change]]);
  }
  return out;
}
