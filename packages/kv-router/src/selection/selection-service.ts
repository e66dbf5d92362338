import { randomBytes } from 'node:crypto';
import type { Logger } from '@dynamo/runtime';
import { openDoor } from '../http/door.ts';
import { takeOverDump } from '../indexer/peer-dump.ts';
import { openReplicaChannel } from '../publish/replica-channel.ts';
import { type HttpService, replicaRoutes } from '../slots/slot-tracker.ts';
import type { RouterSettings } from '../wire/router-settings.ts';
import { decodeSlotEvent, slotTopic } from '../wire/slot-bodies.ts';
import { Selections } from './selections.ts';
import { selectionRoutes } from './selection-routes.ts';

/** Where the selection service listens, how it chooses, and which replicas it has. */
export interface SelectionServiceOptions {
  readonly host?: string;
  /** Default 8092; 0 takes a free one. */
  readonly port?: number;
  /** How workers are chosen, as in every KV router. */
  readonly settings?: Partial<RouterSettings>;
  /** Other selection services or indexers: what the first that answers knows is taken over at the start. */
  readonly peers?: readonly string[];
  readonly replicaPort?: number | undefined;
  readonly replicaPeers?: readonly string[] | undefined;
  /** Keeps each session on its worker until it has been idle for so long. Off by default. */
  readonly affinityTtlMs?: number | undefined;
  /** How long a selection with a name may wait to be reserved, 60 s by default, and how many may, 65 536 by default. */
  readonly pending?: { readonly ttlMs?: number; readonly most?: number };
  readonly log: Logger;
}

/**
 * Serves the selection of the real router on its own (spec kv-router 20): workers are told to it over HTTP, their engines'
 * events come over ZMQ, and it says where each prompt should go, without any runtime or discovery.
 */
export async function serveSelection(options: SelectionServiceOptions): Promise<HttpService> {
  const { host = '0.0.0.0', port = 8092, log } = options;
  await using stack = new AsyncDisposableStack();
  const { ttlMs = 60_000, most = 65_536 } = options.pending ?? {};
  const selections = new Selections({
    settings: options.settings ?? {},
    routerId: randomBytes(8).readBigUInt64BE(),
    publish: (payload) => channel.publish(payload),
    pending: { ttlMs, most },
    affinityTtlMs: options.affinityTtlMs,
    clock: () => performance.now(),
    log,
  });
  const channel = stack.use(
    await openReplicaChannel({
      topic: slotTopic,
      port: options.replicaPort,
      peers: options.replicaPeers,
      take: (payload) => selections.hear(decodeSlotEvent(payload)),
      log,
    }),
  );
  stack.use(selections);
  await takeOverDump(options.peers ?? [], { groupOf: (model, group, blockSize) => selections.make(model, group, blockSize), log });
  const timer = setInterval(() => selections.tick(), 1_000);
  timer.unref();
  stack.defer(() => clearInterval(timer));
  const door = stack.use(await openDoor({ host, port, errors: 'json', log, routes: [...selectionRoutes(selections), ...replicaRoutes(channel)] }));
  const kept = stack.move();
  return { address: door.address, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}
