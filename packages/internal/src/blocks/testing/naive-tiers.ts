interface Slot {
  id: number;
  state: 'empty' | 'taken' | 'active' | 'inactive';
  hash: bigint;
  users: number;
  priority: number;
  returned: number;
  acquired: number;
}

/** The rules of one pool written down as they are told, without any cleverness (spec block-manager 4). */
export class NaivePool {
  readonly slots: Slot[];
  readonly fifo: number[];
  readonly events: string[];
  readonly #name: string;
  #tick = 0;

  constructor(name: string, blocks: number, events: string[]) {
    this.#name = name;
    this.events = events;
    this.slots = Array.from({ length: blocks }, (_, id) => ({ id, state: 'empty', hash: 0n, users: 0, priority: 0, returned: 0, acquired: 0 }));
    this.fifo = this.slots.map(({ id }) => id);
  }

  get status(): { active: number; inactive: number; empty: number } {
    const inactive = this.slots.filter(({ state }) => state === 'inactive').length;
    return { active: this.slots.length - inactive - this.fifo.length, inactive, empty: this.fifo.length };
  }

  get available(): number {
    return this.slots.length - this.status.active;
  }

  find(hash: bigint): Slot | undefined {
    return this.slots.find((slot) => (slot.state === 'active' || slot.state === 'inactive') && slot.hash === hash);
  }

  allocate(count: number): number[] | undefined {
    if (count > this.available) return undefined;
    return Array.from({ length: count }, () => {
      const first = this.fifo.shift();
      const slot = first === undefined ? (this.#goesFirst() as Slot) : (this.slots[first] as Slot);
      if (first === undefined) this.#forget(slot);
      slot.state = 'taken';
      slot.acquired = ++this.#tick;
      return slot.id;
    });
  }

  drop(id: number): void {
    (this.slots[id] as Slot).state = 'empty';
    this.fifo.push(id);
  }

  /** The slot that has the hash then, and whether that is news. */
  register(id: number, hash: bigint, priority: number): { id: number; stored: boolean } {
    const present = this.find(hash);
    if (present !== undefined) {
      this.use(present);
      this.drop(id);
      return { id: present.id, stored: false };
    }
    Object.assign(this.slots[id] as Slot, { state: 'active', hash, users: 1, priority });
    this.events.push(`${this.#name} +${hash}`);
    return { id, stored: true };
  }

  use(slot: Slot): void {
    if (slot.state === 'inactive') Object.assign(slot, { state: 'active', users: 0, acquired: ++this.#tick });
    slot.users++;
  }

  match(hashes: readonly bigint[]): number[] {
    const ids: number[] = [];
    for (const hash of hashes) {
      const slot = this.find(hash);
      if (slot === undefined) break;
      this.use(slot);
      ids.push(slot.id);
    }
    return ids;
  }

  release(id: number): void {
    const slot = this.slots[id] as Slot;
    if (--slot.users > 0) return;
    slot.state = 'inactive';
    slot.returned = ++this.#tick;
  }

  touch(hashes: readonly bigint[]): void {
    for (const hash of hashes) {
      const slot = this.find(hash);
      if (slot === undefined) return;
      if (slot.state === 'inactive') slot.returned = ++this.#tick;
    }
  }

  resetBlocks(hashes: readonly bigint[]): void {
    for (const hash of hashes) {
      const slot = this.find(hash);
      if (slot?.state !== 'inactive') continue;
      this.#forget(slot);
      this.drop(slot.id);
    }
  }

  #forget(slot: Slot): void {
    this.events.push(`${this.#name} -${slot.hash}`);
    slot.state = 'empty';
    slot.priority = 0;
  }

  #goesFirst(): Slot | undefined {
    return this.slots
      .filter(({ state }) => state === 'inactive')
      .toSorted((a, b) => a.priority - b.priority || a.returned - b.returned || a.acquired - b.acquired || (a.hash < b.hash ? -1 : 1))[0];
  }
}

/** A host and a disk pool with the rules of offload between them (spec block-manager 5). */
export class NaiveTiers {
  readonly events: string[] = [];
  readonly host: NaivePool;
  readonly disk: NaivePool;
  readonly #counts = new Map<bigint, number>();
  #offered: { hash: bigint; priority: number }[] = [];

  constructor(host: number, disk: number) {
    this.host = new NaivePool('host_pinned', host, this.events);
    this.disk = new NaivePool('disk', disk, this.events);
  }

  register(id: number, hash: bigint, priority: number): number {
    const registered = this.host.register(id, hash, priority);
    if (registered.stored) this.#offered.push({ hash, priority });
    return registered.id;
  }

  /** What happens in the background when everything else rests. */
  settle(): void {
    const queue = this.#offered.map((offer, at) => ({ ...offer, at })).toSorted((a, b) => b.priority - a.priority || a.at - b.at);
    this.#offered = [];
    const jobs = queue.flatMap(({ hash, priority }) => {
      const source = this.host.find(hash);
      if (source === undefined || this.disk.find(hash) !== undefined) return [];
      const count = (this.#counts.get(hash) ?? 0.5) * 2;
      this.#counts.set(hash, count);
      if (count < 2 || this.disk.available === 0) return [];
      const [target] = this.disk.allocate(1) as [number];
      this.host.use(source);
      return [{ source, target, hash, priority }];
    });
    for (const { target, hash, priority } of jobs) this.disk.release(this.disk.register(target, hash, priority).id);
    for (const { source } of jobs) this.host.release(source.id);
  }
}
