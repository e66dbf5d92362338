import { DynamoError } from '@dynamo/runtime';
import { EvictionOrder } from './eviction-order.ts';

/** How many blocks are in use, registered and unused, and empty. */
export interface PoolStatus {
  readonly active: number;
  readonly inactive: number;
  readonly empty: number;
}

/** What became of a block that was registered. */
export type Registration = 'stored' | 'duplicate_active' | 'duplicate_inactive';

/** What became of blocks that were to be forgotten, by sequence hash. */
export interface ResetOutcome {
  readonly reset: readonly bigint[];
  readonly notFound: readonly bigint[];
  /** In use. */
  readonly notReset: readonly bigint[];
}

const empty = 0;
const taken = 1;
const active = 2;
const inactive = 3;

/**
 * Which slots of one tier are empty, in work, registered and in use, or registered and unused (spec block-manager 4). It holds no bytes.
 *
 * Whoever takes a slot has it alone until `register` shares it under its hash; shared slots count their users.
 */
export class TierPool {
  readonly capacity: number;
  /** Empty slots, a ring: first in, first out. */
  readonly #ring: Int32Array;
  #head = 0;
  #empty: number;
  readonly #state: Uint8Array;
  readonly #users: Uint32Array;
  readonly #priority: Float64Array;
  readonly #hash: BigUint64Array;
  readonly #byHash = new Map<bigint, number>();
  readonly #order: EvictionOrder;
  readonly #evicted: (slot: number, hash: bigint) => void;
  #tick = 0;

  /** @param evicted Hears of each registered block that goes, before its slot is used for something else. */
  constructor(capacity: number, evicted: (slot: number, hash: bigint) => void = () => {}) {
    this.capacity = capacity;
    this.#ring = Int32Array.from({ length: capacity }, (_, slot) => slot);
    this.#empty = capacity;
    this.#state = new Uint8Array(capacity);
    this.#users = new Uint32Array(capacity);
    this.#priority = new Float64Array(capacity);
    this.#hash = new BigUint64Array(capacity);
    this.#order = new EvictionOrder(capacity);
    this.#evicted = evicted;
  }

  /** Slots that can be had: empty ones, and registered ones that nobody uses. */
  get available(): number {
    return this.#empty + this.#order.size;
  }

  get status(): PoolStatus {
    return { active: this.capacity - this.available, inactive: this.#order.size, empty: this.#empty };
  }

  /** The hashes of all registered blocks. */
  get hashes(): bigint[] {
    return [...this.#byHash.keys()];
  }

  /** The registered slot of a hash, or undefined; changes nothing. */
  find(hash: bigint): number | undefined {
    return this.#byHash.get(hash);
  }

  /** Takes slots, all or none: empty ones first, then those that go first. @throws DynamoError `resource_exhausted`. */
  allocate(count: number): number[] {
    if (!Number.isSafeInteger(count) || count < 0)
      throw new DynamoError('invalid_argument', `the number of blocks must be a count, got ${String(count)}`);
    if (count > this.available)
      throw new DynamoError('resource_exhausted', `Not enough blocks available, requested: ${count}, available: ${this.available}`, {
        data: { requested: count, available: this.available },
      });
    return Array.from({ length: count }, () => {
      const slot = this.#empty > 0 ? this.#takeEmpty() : this.#forget(this.#order.takeFirst());
      this.#state[slot] = taken;
      return slot;
    });
  }

  /** Gives back a slot that was taken and not registered. */
  drop(slot: number): void {
    this.#check(slot, taken);
    this.#putEmpty(slot);
  }

  /** Shares a taken slot under a hash, or finds the slot that has it: the caller then uses that one, and the taken one is still the caller's. */
  register(slot: number, hash: bigint, priority: number): { readonly primary: number; readonly outcome: Registration } {
    this.#check(slot, taken);
    const present = this.#byHash.get(hash);
    if (present !== undefined) {
      const outcome = this.#state[present] === active ? 'duplicate_active' : 'duplicate_inactive';
      this.#use(present);
      return { primary: present, outcome };
    }
    this.#byHash.set(hash, slot);
    this.#hash[slot] = hash;
    this.#state[slot] = active;
    this.#users[slot] = 1;
    this.#priority[slot] = priority;
    return { primary: slot, outcome: 'stored' };
  }

  /** Takes the longest registered prefix into use by one more. */
  match(hashes: readonly bigint[]): number[] {
    const slots: number[] = [];
    for (const hash of hashes) {
      const slot = this.#byHash.get(hash);
      if (slot === undefined) break;
      this.#use(slot);
      slots.push(slot);
    }
    return slots;
  }

  /** One more user of a slot that is in use. */
  share(slot: number): void {
    this.#check(slot, active);
    this.#use(slot);
  }

  /** One user less; the last one leaves the block registered and unused. */
  release(slot: number): void {
    this.#check(slot, active);
    const users = (this.#users[slot] as number) - 1;
    this.#users[slot] = users;
    if (users > 0) return;
    this.#state[slot] = inactive;
    this.#order.add(slot, this.#priority[slot] as number, ++this.#tick);
  }

  /** Makes unused blocks stay longer, in order, as if just returned; stops at the first hash that isn't registered. */
  touch(hashes: readonly bigint[]): void {
    for (const hash of hashes) {
      const slot = this.#byHash.get(hash);
      if (slot === undefined) return;
      if (this.#state[slot] !== inactive) continue;
      this.#order.remove(slot);
      this.#order.add(slot, this.#priority[slot] as number, ++this.#tick);
    }
  }

  /** Forgets every block. @throws DynamoError `unavailable` while any is in use. */
  reset(): void {
    if (this.available < this.capacity)
      throw new DynamoError('unavailable', `Reset error: total blocks: ${this.capacity}, available blocks: ${this.available}`, {
        data: { total: this.capacity, available: this.available },
      });
    for (let slot = this.#order.takeFirst(); slot >= 0; slot = this.#order.takeFirst()) this.#putEmpty(this.#forget(slot));
  }

  /** Forgets these blocks as far as nobody uses them. */
  resetBlocks(hashes: readonly bigint[]): ResetOutcome {
    const out = { reset: [] as bigint[], notFound: [] as bigint[], notReset: [] as bigint[] };
    for (const hash of hashes) {
      const slot = this.#byHash.get(hash);
      if (slot === undefined) out.notFound.push(hash);
      else if (this.#state[slot] === active) out.notReset.push(hash);
      else {
        this.#order.remove(slot);
        this.#putEmpty(this.#forget(slot));
        out.reset.push(hash);
      }
    }
    return out;
  }

  #use(slot: number): void {
    if (this.#state[slot] === inactive) {
      this.#order.remove(slot);
      this.#state[slot] = active;
      this.#users[slot] = 0;
    }
    this.#users[slot] = (this.#users[slot] as number) + 1;
  }

  /** The slot's content has gone: nobody finds it any more. */
  #forget(slot: number): number {
    const hash = this.#hash[slot] as bigint;
    this.#byHash.delete(hash);
    this.#priority[slot] = 0;
    this.#evicted(slot, hash);
    return slot;
  }

  #takeEmpty(): number {
    const slot = this.#ring[this.#head] as number;
    this.#head = (this.#head + 1) % this.capacity;
    this.#empty--;
    return slot;
  }

  #putEmpty(slot: number): void {
    this.#state[slot] = empty;
    this.#ring[(this.#head + this.#empty) % this.capacity] = slot;
    this.#empty++;
  }

  #check(slot: number, state: number): void {
    if (this.#state[slot] !== state) throw new DynamoError('invalid_argument', `block ${slot} was returned already`, { data: { block: slot } });
  }
}
