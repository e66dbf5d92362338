/** A queue that takes and gives at both ends, in one array that is used as a ring. */
export class Deque<T> {
  #items: (T | undefined)[] = Array.from({ length: 16 });
  #head = 0;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  get first(): T | undefined {
    return this.#length === 0 ? undefined : this.#items[this.#head];
  }

  push(item: T): void {
    this.#reserve();
    this.#items[(this.#head + this.#length++) & (this.#items.length - 1)] = item;
  }

  unshift(item: T): void {
    this.#reserve();
    this.#head = (this.#head - 1) & (this.#items.length - 1);
    this.#items[this.#head] = item;
    this.#length++;
  }

  shift(): T | undefined {
    if (this.#length === 0) return undefined;
    const item = this.#items[this.#head];
    this.#items[this.#head] = undefined;
    this.#head = (this.#head + 1) & (this.#items.length - 1);
    this.#length--;
    return item;
  }

  /** Takes one item out, wherever it stands; false when it is not there. */
  remove(item: T): boolean {
    const rest = [...this].filter((other) => other !== item);
    if (rest.length === this.#length) return false;
    this.#items.fill(undefined);
    this.#head = 0;
    this.#length = 0;
    for (const other of rest) this.push(other);
    return true;
  }

  *[Symbol.iterator](): IterableIterator<T> {
    for (let i = 0; i < this.#length; i++) yield this.#items[(this.#head + i) & (this.#items.length - 1)] as T;
  }

  #reserve(): void {
    if (this.#length < this.#items.length) return;
    const items = [...this];
    this.#items = Array.from({ length: this.#items.length * 2 });
    for (const [index, item] of items.entries()) this.#items[index] = item;
    this.#head = 0;
  }
}
