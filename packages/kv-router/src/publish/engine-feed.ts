import type { Logger } from '@dynamo/runtime';
import type { PromptHasher } from '../hash/block-hash.ts';
import type { PrefixIndex } from '../prefix/prefix-index.ts';
import type { RankTable } from '../ranks.ts';
import { EngineRelay } from './engine-relay.ts';
import { type EngineSource, openEngineSocket } from './engine-socket.ts';
import type { PendingChange } from './event-pipeline.ts';
import { checkAddress } from './zmq-address.ts';

/** One engine's socket, and the index that its events go to. */
export interface EngineFeedOptions {
  readonly workerId: bigint;
  /** The rank of batches that name none. */
  readonly dpRank: number;
  readonly blockSize: number;
  readonly source: EngineSource;
  readonly index: PrefixIndex;
  readonly ranks: RankTable;
  readonly hasher: PromptHasher;
  /** Told after each message that changed the index. */
  readonly changed?: () => void;
  readonly log: Logger;
}

/** An engine that is listened to; disposing ends that, and leaves what the index knows. */
export interface EngineFeed extends AsyncDisposable {
  /** The ranks that the engine has spoken for, its own among them. */
  readonly dpRanks: ReadonlySet<number>;
}

/**
 * Applies an engine's own events to an index in the engine's order, without a worker process in between (spec kv-router 14.5).
 *
 * @throws DynamoError `invalid_argument` for an address that can't be.
 */
export async function openEngineFeed(options: EngineFeedOptions): Promise<EngineFeed> {
  const { workerId, dpRank, blockSize, source, index, log } = options;
  checkAddress(source.zmq);
  if (source.replay !== undefined) checkAddress(source.replay.zmq);
  const relay = new EngineRelay(workerId, { blockSize, hasher: options.hasher });
  let refused = 0;
  let id = 0;
  const apply = (changes: readonly PendingChange[]): void => {
    for (const { dpRank: rank, tier, change } of changes) index.apply({ workerId, dpRank: rank, tier, domain: 'worker', id: id++, change });
    options.changed?.();
  };
  const socket = await openEngineSocket(source, {
    ordered: true,
    onMessage: (frames) => {
      const read = relay.changes(frames, dpRank);
      if ('changes' in read) apply(read.changes);
      // Once a thousand: an engine of another version would fill the log.
      else if (refused++ % 1_000 === 0) log.warn({ zmq: source.zmq, why: read.refused, refused }, "dropped an engine's event message");
    },
    onRestart: () => apply([...relay.ranks].map((rank): PendingChange => ({ dpRank: rank, tier: 'device', change: { type: 'cleared' } }))),
    log,
  });
  return {
    get dpRanks() {
      return new Set([dpRank, ...relay.ranks]);
    },
    [Symbol.asyncDispose]: () => socket[Symbol.asyncDispose](),
  };
}
