/**
 * A map from 64-bit hashes to small numbers, in flat memory: hashes are two 32-bit halves, so nothing is allocated per look-up.
 *
 * Open addressing with linear probing; a removal moves what follows back, so there are no tombstones and long runs stay fast.
 */
export class HashTable {
  #mask: number;
  #low: Uint32Array;
  #high: Uint32Array;
  /** Value plus one; 0 is an empty place. */
  #value: Int32Array;
  #size = 0;

  constructor(expected = 16) {
    let places = 16;
    while (places < expected * 2) places *= 2;
    this.#mask = places - 1;
    this.#low = new Uint32Array(places);
    this.#high = new Uint32Array(places);
    this.#value = new Int32Array(places);
  }

  get size(): number {
    return this.#size;
  }

  /** The number kept under a hash, or -1. */
  get(low: number, high: number): number {
    return (this.#value[this.#find(low, high)] as number) - 1;
  }

  set(low: number, high: number, value: number): void {
    let at = this.#find(low, high);
    if (this.#value[at] === 0) {
      if (++this.#size * 2 > this.#mask) {
        this.#grow();
        at = this.#find(low, high);
      }
      this.#low[at] = low;
      this.#high[at] = high;
    }
    this.#value[at] = value + 1;
  }

  delete(low: number, high: number): void {
    let hole = this.#find(low, high);
    if (this.#value[hole] === 0) return;
    this.#size--;
    for (let at = (hole + 1) & this.#mask; this.#value[at] !== 0; at = (at + 1) & this.#mask) {
      const home = (this.#low[at] as number) & this.#mask;
      // What may not stand before its own place stays.
      if (((at - home) & this.#mask) < ((at - hole) & this.#mask)) continue;
      this.#low[hole] = this.#low[at] as number;
      this.#high[hole] = this.#high[at] as number;
      this.#value[hole] = this.#value[at] as number;
      hole = at;
    }
    this.#value[hole] = 0;
  }

  /** Where the hash is, or where it would go. */
  #find(low: number, high: number): number {
    const mask = this.#mask;
    let at = low & mask;
    while (this.#value[at] !== 0 && (this.#low[at] !== low || this.#high[at] !== high)) at = (at + 1) & mask;
    return at;
  }

  #grow(): void {
    const [low, high, value] = [this.#low, this.#high, this.#value];
    const places = value.length * 2;
    this.#mask = places - 1;
    this.#low = new Uint32Array(places);
    this.#high = new Uint32Array(places);
    this.#value = new Int32Array(places);
    for (let i = 0; i < value.length; i++) {
      if (value[i] === 0) continue;
      const at = this.#find(low[i] as number, high[i] as number);
      this.#low[at] = low[i] as number;
      this.#high[at] = high[i] as number;
      this.#value[at] = value[i] as number;
    }
  }
}
