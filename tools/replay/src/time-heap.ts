/** Things that are due, the earliest first; at the same time the one with the smaller number. */
export class TimeHeap<T> {
  readonly #times: number[] = [];
  readonly #numbers: number[] = [];
  readonly #items: T[] = [];

  get size(): number {
    return this.#items.length;
  }

  /** When the first is due; Infinity when there is none. */
  get time(): number {
    return this.#times[0] ?? Infinity;
  }

  push(time: number, number: number, item: T): void {
    let at = this.#items.length;
    this.#items.push(item);
    this.#times.push(time);
    this.#numbers.push(number);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!this.#isBefore(at, parent)) return;
      this.#swap(at, parent);
      at = parent;
    }
  }

  pop(): T | undefined {
    const last = this.#items.length - 1;
    if (last < 0) return undefined;
    this.#swap(0, last);
    this.#times.pop();
    this.#numbers.pop();
    const item = this.#items.pop();
    for (let at = 0; ;) {
      const left = 2 * at + 1;
      if (left >= last) return item;
      const least = left + 1 < last && this.#isBefore(left + 1, left) ? left + 1 : left;
      if (!this.#isBefore(least, at)) return item;
      this.#swap(at, least);
      at = least;
    }
  }

  #isBefore(a: number, b: number): boolean {
    const difference = (this.#times[a] as number) - (this.#times[b] as number);
    return difference < 0 || (difference === 0 && (this.#numbers[a] as number) < (this.#numbers[b] as number));
  }

  #swap(a: number, b: number): void {
    const [time, number, item] = [this.#times[a] as number, this.#numbers[a] as number, this.#items[a] as T];
    this.#times[a] = this.#times[b] as number;
    this.#numbers[a] = this.#numbers[b] as number;
    this.#items[a] = this.#items[b] as T;
    this.#times[b] = time;
    this.#numbers[b] = number;
    this.#items[b] = item;
  }
}
