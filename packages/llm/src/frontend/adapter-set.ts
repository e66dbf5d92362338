import type { InstanceId } from '@dynamo/runtime';
import type { TokenRequest } from '@dynamo/kv-router';
import type { WireCard } from '../model/wire-card.ts';
import type { AnyModel } from './serving-model.ts';
import { WireRequest } from './wire-request.ts';
import type { WorkerSet } from './worker-set.ts';

/** What the model watcher offers under a name: a worker set, or an adapter on one. */
export type OfferedSet = Pick<WorkerSet, 'model' | 'card' | 'names' | 'role' | 'namespace' | 'members' | 'created' | 'measured'>;

/**
 * An adapter that some workers of a set have loaded: a model of its own to clients, with its base model's files, router and
 * workers (spec llm 1.6).
 */
export class AdapterSet implements OfferedSet {
  readonly base: WorkerSet;
  readonly card: WireCard;
  readonly created: number = Math.floor(Date.now() / 1000);
  /** The instances that have it loaded. */
  readonly members: Map<InstanceId, WireCard> = new Map();
  readonly #adapter: string;
  #model: { readonly of: AnyModel; readonly model: AnyModel } | undefined;

  constructor(base: WorkerSet, card: WireCard) {
    this.base = base;
    this.card = card;
    this.#adapter = adapterName(card) ?? card.display_name;
    base.adapters.set(this.#adapter, this.members);
  }

  /** Ready as soon as its base is. */
  get model(): AnyModel | undefined {
    const of = this.base.model;
    if (of === undefined) return undefined;
    if (this.#model?.of !== of) this.#model = { of, model: { ...of, name: this.card.display_name, card: this.card, adapter: this.#adapter } };
    return this.#model.model;
  }

  get names(): readonly string[] {
    return [this.card.display_name, ...(this.card.aliases ?? [])];
  }

  get role(): string {
    return this.card.worker_type;
  }

  get namespace(): string {
    return this.base.namespace;
  }

  get measured(): boolean {
    return this.base.measured;
  }

  /** Takes the adapter off its base. */
  [Symbol.dispose](): void {
    if (this.base.adapters.get(this.#adapter) === this.members) this.base.adapters.delete(this.#adapter);
  }
}

/** The adapter that a card is of; undefined for a model's own card. */
export const adapterName = (card: WireCard): string | undefined => card.lora?.name;

/** The adapter that a request is for. A client's own request names it as its model. */
export function adapterOf(request: TokenRequest | WireRequest, adapters: ReadonlyMap<string, ReadonlyMap<InstanceId, WireCard>>): string | undefined {
  if (!(request instanceof WireRequest)) {
    const name = request.routing?.['lora_name'];
    return typeof name === 'string' && name !== '' ? name : undefined;
  }
  if (adapters.size === 0) return undefined;
  const { model } = (request.wire ?? {}) as { model?: unknown };
  return typeof model === 'string' && adapters.has(model) ? model : undefined;
}
