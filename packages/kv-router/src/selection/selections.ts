import { DynamoError, type Logger } from '@dynamo/runtime';
import { refusal } from '../http/refusal.ts';
import type { Clock } from '../load/clock.ts';
import type { RouterSettings } from '../wire/router-settings.ts';
import type { Lifecycle, RankName, ReserveBody, SelectBody, Selected, SelectPrompt, WorkerFacts, WorkerRecord } from '../wire/selection-bodies.ts';
import type { SlotEvent } from '../wire/slot-bodies.ts';
import { missingOf, patched } from './catalog-entry.ts';
import { type PendingLimits, PendingSelections } from './pending-selections.ts';
import { type Choice, newSelectionId, SelectionGroup } from './selection-group.ts';

/** A worker of the catalog, and what keeps it from being chosen. */
export interface CatalogEntry {
  readonly record: WorkerRecord;
  readonly lifecycle: Lifecycle;
  readonly reasons: readonly string[];
}

/** How the groups are made, and how long things are kept. */
export interface SelectionsOptions {
  readonly settings: Partial<RouterSettings>;
  readonly routerId: bigint;
  readonly publish: (payload: Uint8Array) => void;
  readonly pending: PendingLimits;
  readonly affinityTtlMs: number | undefined;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Most sessions that are kept to a worker (spec kv-router 11). */
const mostSessions = 65_536;

/** The catalog of workers, and every selection that is made among them (spec kv-router 20). */
export class Selections implements AsyncDisposable {
  readonly #options: SelectionsOptions;
  readonly #groups = new Map<string, SelectionGroup>();
  readonly #catalog = new Map<bigint, CatalogEntry>();
  readonly #pending: PendingSelections<Choice>;
  readonly #sessions: PendingSelections<RankName> | undefined;
  /** What is counted, by its name. */
  readonly #reserved = new Map<string, SelectionGroup>();
  readonly #reserving = new Set<string>();
  /** Changes of the catalog, one after the other. */
  #change: Promise<unknown> = Promise.resolve();

  constructor(options: SelectionsOptions) {
    this.#options = options;
    this.#pending = new PendingSelections(options.pending, options.clock);
    const { affinityTtlMs: ttlMs } = options;
    this.#sessions = ttlMs === undefined ? undefined : new PendingSelections({ ttlMs, most: mostSessions }, options.clock);
  }

  /** The workers in order of models, groups and ids; those that a query names. */
  catalog({ model_name: model, routing_group: group }: Readonly<Record<string, string>> = {}): readonly CatalogEntry[] {
    return [...this.#catalog.values()]
      .filter(({ record }) => (model === undefined || record.modelName === model) && (group === undefined || record.routingGroup === group))
      .toSorted(({ record: a }, { record: b }) => {
        if (a.modelName !== b.modelName) return a.modelName < b.modelName ? -1 : 1;
        if (a.routingGroup !== b.routingGroup) return a.routingGroup < b.routingGroup ? -1 : 1;
        return a.workerId < b.workerId ? -1 : 1;
      });
  }

  get schedulable(): number {
    return this.catalog().filter(({ lifecycle }) => lifecycle === 'schedulable').length;
  }

  /** The groups that there have been; those that a query names. */
  groups({ model_name: model, routing_group: group }: Readonly<Record<string, string>> = {}): readonly SelectionGroup[] {
    return [...this.#groups.values()].filter(
      (each) => (model === undefined || each.model === model) && (group === undefined || each.group === group),
    );
  }

  /** A group, made when it is not there yet. */
  make(model: string, group: string, blockSize: number): SelectionGroup {
    const key = `${model}\0${group}`;
    const found = this.#groups.get(key) ?? new SelectionGroup({ ...this.#options, model, group, blockSize });
    this.#groups.set(key, found);
    return found;
  }

  /** Takes a worker's record in the place of the one before. */
  put(record: WorkerRecord): Promise<CatalogEntry> {
    return this.#inTurn(() => this.#put(record));
  }

  patch(workerId: bigint, patch: WorkerFacts): Promise<CatalogEntry> {
    return this.#inTurn(() => this.#put(patched(this.#known(workerId).record, patch)));
  }

  remove(workerId: bigint): Promise<CatalogEntry> {
    return this.#inTurn(async () => {
      const { record } = this.#known(workerId);
      this.#catalog.delete(workerId);
      await this.#groupOf(record)?.remove(workerId);
      return { record, lifecycle: 'unschedulable', reasons: [] };
    });
  }

  /** Chooses a worker; with a name the choice may be reserved later. */
  async select(body: SelectBody, signal: AbortSignal): Promise<Selected> {
    const group = this.open(body);
    const choice = await group.select(this.#bound(group, body), { signal });
    this.#bind(body, choice);
    if (body.selectionId !== undefined) this.#pending.put(pendingKey(body, body.selectionId), choice);
    return choice.selected;
  }

  /** Chooses a worker and counts the prompt on it. */
  async selectAndReserve(body: SelectBody, signal: AbortSignal): Promise<Selected> {
    const group = this.open(body);
    const id = body.selectionId ?? newSelectionId();
    return this.#reserveOnce(id, async () => {
      const choice = await group.select(this.#bound(group, body), { signal, reserve: id });
      this.#bind(body, choice);
      this.#reserved.set(id, group);
      return choice.selected;
    });
  }

  /** Counts a choice that was made before, or one that somebody else has made. */
  async reserve(body: ReserveBody): Promise<Selected> {
    const { selectionId: id, modelName: model, routingGroup: name, workerId, dpRank } = body;
    const key = pendingKey(body, id);
    const pending = workerId === undefined ? this.#pending.get(key) : undefined;
    if (workerId === undefined && pending === undefined)
      throw refusal(404, `no pending selection ${id} for model=${model} routing_group=${name} (expired, already used, or never selected)`);
    return this.#reserveOnce(id, async () => {
      const rank: RankName = pending?.selected ?? { workerId: workerId ?? 0n, dpRank };
      const group = this.#groupOf(body);
      if (group?.hasRank(rank) !== true) throw refusal(404, `schedulable worker ${rank.workerId} not found for model=${model} routing_group=${name}`);
      const choice = pending ?? group.choose({ ...withoutOverlap(body), pinnedWorker: rank });
      this.#pending.delete(key);
      group.book(id, choice);
      this.#reserved.set(id, group);
      return choice.selected;
    });
  }

  /** The group in which a reservation counts. @throws DynamoError `not_found` when there is none of this name. */
  holding(id: string): SelectionGroup {
    const group = this.#reserved.get(id);
    if (group?.has(id) === true) return group;
    this.#reserved.delete(id);
    throw refusal(404, `reservation ${id} not found`);
  }

  free(id: string): void {
    this.holding(id).free(id);
    this.#reserved.delete(id);
  }

  /** The group of a prompt. @throws DynamoError `unavailable` when none of its workers can be chosen. */
  open({ modelName: model, routingGroup: name }: SelectPrompt): SelectionGroup {
    if (this.schedulable === 0) throw refusal(503, 'no schedulable workers are available');
    const group = this.#groups.get(`${model}\0${name}`);
    if (group === undefined || group.size === 0) throw refusal(503, `no schedulable workers for model=${model} routing_group=${name}`);
    return group;
  }

  /** Books what a replica tells; of ranks that we do not know nothing is counted. */
  hear({ model, group, event }: SlotEvent): void {
    const found = this.#groups.get(`${model}\0${group}`);
    if (found?.hasRank(event) === true) found.replicas.hear([event]);
  }

  /** Called now and then: what has expired goes. */
  tick(): void {
    for (const group of this.#groups.values()) group.tick();
    for (const [id, group] of this.#reserved) if (!group.has(id)) this.#reserved.delete(id);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#change.catch(() => {});
    for (const group of this.#groups.values()) await group[Symbol.asyncDispose]();
  }

  #known(workerId: bigint): CatalogEntry {
    const entry = this.#catalog.get(workerId);
    if (entry === undefined) throw refusal(404, `worker ${workerId} not found`);
    return entry;
  }

  #groupOf({ modelName: model, routingGroup: name }: SelectPrompt | WorkerRecord): SelectionGroup | undefined {
    return this.#groups.get(`${model}\0${name}`);
  }

  async #put(record: WorkerRecord): Promise<CatalogEntry> {
    const before = this.#catalog.get(record.workerId)?.record;
    const missing = missingOf(record);
    const moved = before !== undefined && (before.modelName !== record.modelName || before.routingGroup !== record.routingGroup);
    if (before !== undefined && (moved || missing.length > 0)) await this.#groupOf(before)?.remove(record.workerId);
    const reasons = missing.length > 0 ? missing : await this.#reconcile(record);
    const entry: CatalogEntry = { record, lifecycle: reasons.length === 0 ? 'schedulable' : 'incomplete', reasons };
    this.#catalog.set(record.workerId, entry);
    return entry;
  }

  /** Opens the worker to selections; tells why that can't be. */
  async #reconcile(record: WorkerRecord): Promise<string[]> {
    const { workerId, modelName: model, routingGroup: name, blockSize = 0 } = record;
    const group = this.make(model, name, blockSize);
    try {
      if (group.blockSize !== blockSize)
        throw refusal(409, `block_size mismatch for model=${model} routing_group=${name}: existing=${group.blockSize} requested=${blockSize}`);
      await group.put(record);
      return [];
    } catch (error) {
      if (!DynamoError.is(error)) throw error;
      await group.remove(workerId);
      const where = 'address' in error.data ? `invalid kv_events endpoint for worker ${workerId} dp_rank ${record.dataParallelStartRank ?? 0}: ` : '';
      return [`reconciliation failed: ${where}${error.message}`];
    }
  }

  #inTurn<T>(change: () => Promise<T>): Promise<T> {
    const next = this.#change.then(change, change);
    this.#change = next.catch(() => {});
    return next;
  }

  async #reserveOnce<T>(id: string, reserve: () => Promise<T>): Promise<T> {
    if (this.#reserving.has(id) || this.#reserved.get(id)?.has(id) === true)
      throw refusal(409, `selection ${id} is already reserved or being reserved`);
    this.#reserving.add(id);
    try {
      return await reserve();
    } finally {
      this.#reserving.delete(id);
    }
  }

  /** The request with the worker of its session, where it has one that can still be chosen. */
  #bound(group: SelectionGroup, body: SelectBody): SelectBody {
    const rank = body.sessionId === undefined || body.pinnedWorker !== undefined ? undefined : this.#sessions?.get(sessionKey(body, body.sessionId));
    return rank !== undefined && group.hasRank(rank) ? { ...body, pinnedWorker: rank } : body;
  }

  #bind(body: SelectBody, { selected: { workerId, dpRank } }: Choice): void {
    if (body.sessionId !== undefined) this.#sessions?.put(sessionKey(body, body.sessionId), { workerId, dpRank });
  }
}

const pendingKey = ({ modelName, routingGroup }: SelectPrompt, id: string): string => `${modelName}\0${routingGroup}\0${id}`;
const sessionKey = pendingKey;

/** A prompt that is known by its sequence hashes alone: who holds how much of it can't be told. */
function withoutOverlap(body: ReserveBody): ReserveBody {
  if (body.tokenIds !== undefined || body.blockHashes !== undefined) return body;
  if (body.sequenceHashes === undefined) throw refusal(400, 'sequence_hashes is required without token_ids');
  return { ...body, blockHashes: body.sequenceHashes.map(() => 0n) };
}
