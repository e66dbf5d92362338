import { randomBytes } from 'node:crypto';
import type { Logger } from '@dynamo/runtime';
import { type Answer, asking, done, openDoor, type Route, taking } from '../http/door.ts';
import { refusal } from '../http/refusal.ts';
import { openReplicaChannel, type ReplicaChannel } from '../publish/replica-channel.ts';
import {
  addSlot,
  decodeSlotEvent,
  nameSlot,
  potentialLoadToWire,
  potentialSlots,
  registerSlots,
  type RegisterSlots,
  replicaPeer,
  slotLoadToWire,
  slotTopic,
  slotWorkerToWire,
  unregisterSlots,
} from '../wire/slot-bodies.ts';
import { SlotGroup } from './slot-group.ts';

/** Where the slot tracker listens, and which replicas it has. */
export interface SlotTrackerOptions {
  readonly host?: string;
  /** Default 8091; 0 takes a free one. */
  readonly port?: number;
  readonly replicaPort?: number | undefined;
  readonly replicaPeers?: readonly string[] | undefined;
  readonly log: Logger;
}

/** A service that answers at `address` until it is disposed. */
export interface HttpService extends AsyncDisposable {
  readonly address: string;
}

/**
 * Serves the slot tracker of the real router on its own (spec kv-router 20): it counts what others place, so that several
 * routers of whatever kind see the same loads.
 */
export async function serveSlotTracker(options: SlotTrackerOptions): Promise<HttpService> {
  await using stack = new AsyncDisposableStack();
  const slots = new Slots();
  const channel = stack.use(
    await openReplicaChannel({
      topic: slotTopic,
      port: options.replicaPort,
      peers: options.replicaPeers,
      take: (payload) => slots.hear(payload),
      log: options.log,
    }),
  );
  slots.tell = (payload) => channel.publish(payload);
  stack.use(slots);
  const { host = '0.0.0.0', port = 8091, log } = options;
  const door = stack.use(await openDoor({ host, port, errors: 'json', log, routes: [...slotRoutes(slots), ...replicaRoutes(channel)] }));
  const kept = stack.move();
  return { address: door.address, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

/** Every group by its model and name. */
class Slots implements Disposable {
  readonly #groups = new Map<string, SlotGroup>();
  readonly #routerId = randomBytes(8).readBigUInt64BE();
  tell: (payload: Uint8Array) => void = () => {};

  /** Those that a query names, in order. */
  groups({ model_name: model, routing_group: group }: Readonly<Record<string, string>> = {}): SlotGroup[] {
    return [...this.#groups.values()]
      .filter((each) => (model === undefined || each.model === model) && (group === undefined || each.group === group))
      .toSorted((a, b) => (a.model === b.model ? (a.group < b.group ? -1 : 1) : a.model < b.model ? -1 : 1));
  }

  group(model: string, group: string): SlotGroup {
    const found = this.#groups.get(keyOf(model, group));
    if (found === undefined) throw refusal(404, `no slot tracker for model=${model} routing_group=${group}`);
    return found;
  }

  register(worker: RegisterSlots): void {
    const { workerId, modelName: model, routingGroup: group, blockSize, dpStart, dpSize } = worker;
    if (blockSize === 0) throw refusal(400, 'block_size must be greater than 0');
    if (dpSize === 0) throw refusal(400, 'dp_size must be greater than 0');
    if (dpStart + dpSize > 0xffff_ffff) throw refusal(400, `dp range overflows u32: start=${dpStart} size=${dpSize}`);
    const known = this.#groups.get(keyOf(model, group));
    if (known !== undefined && known.blockSize !== blockSize)
      throw refusal(409, `block_size mismatch for model=${model} routing_group=${group}: existing=${known.blockSize}, requested=${blockSize}`);
    if (known?.has(workerId) === true) throw refusal(409, `worker ${workerId} already registered for model=${model} routing_group=${group}`);
    const clock = (): number => performance.now();
    const into = known ?? new SlotGroup({ model, group, blockSize, clock, routerId: this.#routerId, publish: (payload) => this.tell(payload) });
    this.#groups.set(keyOf(model, group), into);
    into.register(worker);
  }

  unregister(workerId: bigint, model: string, group: string): void {
    const found = this.#groups.get(keyOf(model, group));
    if (found?.has(workerId) !== true) throw refusal(404, `worker ${workerId} not found for model=${model} routing_group=${group}`);
    found.unregister(workerId);
    if (!found.empty) return;
    this.#groups.delete(keyOf(model, group));
    found[Symbol.dispose]();
  }

  /** Books what a replica tells; of workers that we do not know nothing is counted. */
  hear(payload: Uint8Array): void {
    const { model, group, event } = decodeSlotEvent(payload);
    const found = this.#groups.get(keyOf(model, group));
    if (found?.hasRank(event.workerId, event.dpRank) === true) found.replicas.hear([event]);
  }

  [Symbol.dispose](): void {
    for (const group of this.#groups.values()) group[Symbol.dispose]();
  }
}

const keyOf = (model: string, group: string): string => `${model}\0${group}`;

function slotRoutes(slots: Slots): Route[] {
  const json = (value: unknown): Answer => ({ status: 200, json: value });
  return [
    asking('GET /health', () => ({ status: 200 })),
    asking('GET /workers', () => json(slots.groups().flatMap(({ workers }) => workers.map(slotWorkerToWire)))),
    taking('POST /register', registerSlots, ({ body }) => {
      slots.register(body);
      return done(201);
    }),
    taking('POST /unregister', unregisterSlots, ({ body }) => {
      slots.unregister(body.workerId, body.modelName, body.routingGroup);
      return done();
    }),
    taking('POST /add', addSlot, ({ body }) => {
      slots.group(body.modelName, body.routingGroup).add(body);
      return done(201);
    }),
    taking('POST /prefill_complete', nameSlot, ({ body }) => {
      if (!slots.group(body.modelName, body.routingGroup).prefillDone(body.requestId)) throw refusal(404, `Request ${body.requestId} not found`);
      return done();
    }),
    taking('POST /free', nameSlot, ({ body }) => {
      slots.group(body.modelName, body.routingGroup).free(body.requestId);
      return done();
    }),
    asking('GET /loads', ({ query }) => json(slots.groups(query).flatMap((group) => group.loads().map((load) => slotLoadToWire(group, load))))),
    taking('POST /potential_loads', potentialSlots, ({ body }) =>
      json(slots.group(body.modelName, body.routingGroup).loads(body.sequenceHashes, body.newIslTokens).map(potentialLoadToWire)),
    ),
  ];
}

/** The routes by which replicas learn of each other: the same in every service that has them. */
export function replicaRoutes(channel: ReplicaChannel): Route[] {
  return [
    asking('GET /replica_sync/peers', () => ({ status: 200, json: channel.peers })),
    taking('POST /replica_sync/register_peer', replicaPeer, ({ body }) => done(channel.add(body.endpoint) ? 201 : 200)),
    taking('POST /replica_sync/deregister_peer', replicaPeer, ({ body }) => {
      if (!channel.remove(body.endpoint)) throw refusal(404, 'peer not found');
      return done();
    }),
  ];
}
