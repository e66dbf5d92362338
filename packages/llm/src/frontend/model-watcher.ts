import type { BusyThresholds } from '@dynamo/kv-router';
import type { EndpointPath, InstanceId } from '@dynamo/runtime';
import { decodeModel, type DiscoveryRecord, type ModelRecord } from '@dynamo/runtime/internal';
import { cardChecksum } from '../model/checksum.ts';
import type { WireCard } from '../model/wire-card.ts';
import { helpers, readCard } from '../model/read-card.ts';
import { surfacesOf } from '../model/surfaces.ts';
import { adapterName, AdapterSet, type OfferedSet } from './adapter-set.ts';
import type { AnyModel, ListedModel, ModelDirectory, Readiness, Surface } from './serving-model.ts';
import { metNeeds, missingRoles } from './needs.ts';
import { ThresholdStore } from './thresholds.ts';
import { WorkerSet, type WorkerSetParts } from './worker-set.ts';

/** Which models a frontend looks at. */
export interface WatchFilter {
  /** Only this namespace; `dynamo`, empty or absent means all (spec llm 1.6). */
  readonly namespace?: string;
  /** Only namespaces that begin with this; wins over `namespace`. */
  readonly namespacePrefix?: string;
}

/** Told what appears and goes. */
export interface ModelEvents {
  added?(card: WireCard): void;
  removed?(name: string): void;
}

/** Follows the model cards in discovery and keeps the worker sets that the routes look up. */
export class ModelWatcher implements ModelDirectory, AsyncDisposable {
  readonly #parts: Omit<WorkerSetParts, 'onReady' | 'prefillOf' | 'needsNoPrefill'>;
  readonly #filter: WatchFilter;
  readonly #events: ModelEvents;
  readonly #stop = new AbortController();
  readonly #sets = new Map<string, WorkerSet>();
  /** Every card seen, by its key in discovery: where it went, or undefined where it was refused. */
  readonly #cards = new Map<string, { record: ModelRecord; card: WireCard; set: WorkerSet | AdapterSet | undefined }>();
  /** Adapters, each on the worker set of its base. */
  readonly #adapters = new Set<AdapterSet>();
  readonly #loop: Promise<void>;
  readonly thresholds: ThresholdStore;
  #byName: ReadonlyMap<string, readonly OfferedSet[]> = new Map();
  #turn = 0;

  constructor(
    parts: Omit<WorkerSetParts, 'onReady' | 'prefillOf' | 'needsNoPrefill'>,
    options: { filter: WatchFilter; events: ModelEvents; overload?: BusyThresholds },
  ) {
    this.#parts = parts;
    this.thresholds = new ThresholdStore(options.overload ?? {}, (model, thresholds) => {
      for (const set of this.#sets.values()) if (set.card.display_name === model) set.setThresholds(thresholds);
    });
    this.#filter = options.filter;
    this.#events = options.events;
    this.#loop = this.#follow().catch((error: unknown) => parts.runtime.log.error({ error: String(error) }, 'the watch of models has ended'));
  }

  find(name: string, surface: Surface): AnyModel | 'not-ready' | undefined {
    // A model whose files are still being loaded is not there yet (spec llm 1.6).
    const loaded = (this.#byName.get(name) ?? []).filter((set) => set.model !== undefined);
    const sets = loaded.filter((set) => offers(set, surface));
    const ready = sets.flatMap((set) => (set.model !== undefined && this.#missing(set).length === 0 ? [set.model] : []));
    // Nobody of a model that waits says what it will offer: every route tells that it is not ready (observed in 1.6.1).
    if (ready.length === 0 && (sets.length > 0 || (loaded.length > 0 && !loaded.some((set) => this.#answers(set))))) return 'not-ready';
    return ready.length > 1 ? ready[this.#turn++ % ready.length] : ready[0];
  }

  has(surface: Surface): boolean {
    for (const set of this.#offered()) if (set.model !== undefined && offers(set, surface)) return true;
    return false;
  }

  list(): readonly ListedModel[] {
    const listed = new Map<string, ListedModel>();
    for (const set of this.#offered()) {
      if (set.model === undefined || !this.#answers(set)) continue;
      for (const id of set.names) if (!listed.has(id)) listed.set(id, { id, created: set.created, contextLength: set.card.context_length });
    }
    return [...listed.values()];
  }

  measured(name: string): string | undefined {
    return (this.#byName.get(name) ?? []).find((set) => set.model !== undefined && set.measured)?.card.display_name;
  }

  readiness(name: string): readonly Readiness[] | undefined {
    const sets = this.#byName.get(name)?.filter((set) => set.model !== undefined);
    if (sets === undefined || sets.length === 0) return undefined;
    return [...Map.groupBy(sets, ({ namespace }) => namespace)].map(([namespace, here]) => {
      const missing = [...new Set(here.flatMap((set) => this.#missing(set)))];
      const roles = [...Map.groupBy(here, ({ role }) => role)].map(([role, of]) => ({
        role,
        workers: of.reduce((sum, { members }) => sum + members.size, 0),
        needs: of[0]?.card.needs ?? [],
      }));
      return { namespace, roles, missing, ready: missing.length === 0 && here.some(({ role }) => !helpers.includes(role)) };
    });
  }

  /** Whether a set answers clients now. */
  #answers(set: OfferedSet): boolean {
    return !helpers.includes(set.role) && this.#missing(set).length === 0;
  }

  /** The roles that a set waits for in its namespace. */
  #missing(set: OfferedSet): string[] {
    return missingRoles(set.card.needs, this.#present(set));
  }

  #present(set: OfferedSet): ReadonlySet<string> {
    return new Set(this.#beside(set).map(({ role }) => role));
  }

  /** The sets of the same model in the same namespace. */
  #beside(set: OfferedSet): OfferedSet[] {
    return (this.#byName.get(set.card.display_name) ?? []).filter(({ namespace, members }) => namespace === set.namespace && members.size > 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#loop;
    await Promise.all([...this.#sets.values()].map((set) => set[Symbol.asyncDispose]()));
    this.#sets.clear();
    this.#adapters.clear();
    this.#index();
  }

  async #follow(): Promise<void> {
    for await (const change of this.#parts.runtime.discovery.watch({ bucket: 'v1/mdc' }, { signal: this.#stop.signal })) {
      if (change.type === 'snapshot') for (const record of change.records) await this.#put(record);
      else if (change.type === 'put') await this.#put(change.record);
      else await this.#remove(change.key);
    }
  }

  async #put(record: DiscoveryRecord): Promise<void> {
    const { log } = this.#parts.runtime;
    const decoded = decodeModel(record);
    if (decoded === undefined) return log.warn({ key: record.key }, 'a model card in discovery is unreadable: ignored');
    if (!this.#watches(decoded.namespace)) return;
    const read = readCard(decoded.card);
    if ('problem' in read) return log.warn({ key: record.key, problem: read.problem }, 'a model card is not served by this frontend');
    if (this.#cards.has(record.key)) await this.#remove(record.key);
    this.#cards.set(record.key, { record: decoded, card: read.card, set: await this.#join(decoded, read.card) });
    // Adapters may have been seen before their base.
    if (adapterName(read.card) === undefined)
      for (const waiting of this.#cards.values())
        if (adapterName(waiting.card) !== undefined) waiting.set ??= this.#joinBase(waiting.record, waiting.card);
  }

  #tellReady(set: WorkerSet): void {
    this.#events.added?.(set.card);
    for (const adapter of this.#adapters) if (adapter.base === set) this.#events.added?.(adapter.card);
  }

  #prefillBeside(set: WorkerSet): WorkerSet | undefined {
    return [...this.#sets.values()].find(
      (other) =>
        other.role === 'prefill' &&
        other.model !== undefined &&
        other.namespace === set.namespace &&
        other.members.size > 0 &&
        other.names.includes(set.card.display_name),
    );
  }

  #offered(): IterableIterator<OfferedSet> {
    return [...this.#sets.values(), ...this.#adapters].values();
  }

  /** Puts an adapter on the worker set that its instance is a member of; without one it waits for it. */
  #joinBase(record: ModelRecord, card: WireCard): AdapterSet | undefined {
    const path = `${record.namespace}.${record.component}.${record.endpoint}`;
    const base = [...this.#sets.values()].find((set) => set.path === path && set.role === card.worker_type && set.members.has(record.id));
    if (base === undefined) return undefined;
    const present = [...this.#adapters].find((set) => set.base === base && set.card.display_name === card.display_name);
    const set = present ?? new AdapterSet(base, card);
    set.members.set(record.id, card);
    if (present === undefined) {
      this.#adapters.add(set);
      this.#index();
      if (base.model !== undefined) this.#events.added?.(card);
    }
    return set;
  }

  /** Puts an instance into the set of its card; a card that contradicts the set's first one is left out (spec llm 1.6). */
  async #join(record: ModelRecord, card: WireCard): Promise<WorkerSet | AdapterSet | undefined> {
    if (adapterName(card) !== undefined) return this.#joinBase(record, card);
    const { log } = this.#parts.runtime;
    const { namespace, component, endpoint, id } = record;
    const key = JSON.stringify([namespace, component, endpoint, card.display_name, card.model_type, card.worker_type]);
    const present = this.#sets.get(key);
    const checksum = await cardChecksum(card);
    if (present === undefined) {
      const path = `${namespace}.${component}.${endpoint}` as EndpointPath;
      const parts: WorkerSetParts = {
        ...this.#parts,
        onReady: (set) => this.#tellReady(set),
        prefillOf: (set) => this.#prefillBeside(set),
        needsNoPrefill: (set) => metNeeds(set.card.needs, this.#present(set)).some((all) => !all.includes('prefill')),
      };
      const opened = new WorkerSet(parts, { path, namespace, card, checksum });
      opened.setThresholds(this.thresholds.of(card.display_name));
      opened.members.set(id, card);
      this.#sets.set(key, opened);
      this.#index();
      return opened;
    }
    if (checksum !== present.checksum) {
      log.warn({ model: card.display_name, instance: id }, 'rejected a worker whose model card differs from that of its worker set');
      return undefined;
    }
    present.members.set(id, card);
    return present;
  }

  async #remove(key: string): Promise<void> {
    const gone = this.#cards.get(key);
    if (gone === undefined) return;
    this.#cards.delete(key);
    const { set, record } = gone;
    if (set === undefined) return;
    if (!this.#servesStill(set, record.id)) set.members.delete(record.id);
    if (set instanceof AdapterSet) return this.#leave(set);
    // An adapter can't be used without its base.
    for (const adapter of this.#adapters) if (adapter.base === set && adapter.members.delete(record.id)) this.#unhost(adapter, record.id);
    if (set.members.size > 0) return;
    for (const [name, candidate] of this.#sets) if (candidate === set) this.#sets.delete(name);
    this.#index();
    if (!this.#byName.has(set.card.display_name)) this.#events.removed?.(set.card.display_name);
    await set[Symbol.asyncDispose]();
    // Those that were refused while the set lived get their turn.
    for (const waiting of this.#cards.values()) waiting.set ??= await this.#join(waiting.record, waiting.card);
  }

  /** An adapter whose instance has left its base waits until it is back. */
  #unhost(adapter: AdapterSet, id: InstanceId): void {
    for (const entry of this.#cards.values()) if (entry.set === adapter && entry.record.id === id) entry.set = undefined;
    this.#leave(adapter);
  }

  /** Takes an adapter away that nobody has any more. */
  #leave(adapter: AdapterSet): void {
    if (adapter.members.size > 0) return;
    adapter[Symbol.dispose]();
    this.#adapters.delete(adapter);
    this.#index();
    if (!this.#byName.has(adapter.card.display_name)) this.#events.removed?.(adapter.card.display_name);
  }

  #servesStill(set: WorkerSet | AdapterSet, id: InstanceId): boolean {
    for (const other of this.#cards.values()) if (other.set === set && other.record.id === id) return true;
    return false;
  }

  #watches(namespace: string): boolean {
    const { namespace: only, namespacePrefix: prefix } = this.#filter;
    if (prefix !== undefined && prefix !== '') return namespace.startsWith(prefix);
    return only === undefined || only === '' || only === 'dynamo' || only === namespace;
  }

  #index(): void {
    const byName = new Map<string, OfferedSet[]>();
    for (const set of this.#offered()) {
      for (const name of set.names) {
        const sets = byName.get(name);
        if (sets === undefined) byName.set(name, [set]);
        else sets.push(set);
      }
    }
    this.#byName = byName;
  }
}

const offers = (set: OfferedSet, surface: Surface): boolean => surfacesOf(set.card.model_type).includes(surface);
