/** Relative error of the real report's token figures (spec mocker 8). */
const accuracy = 0.001;
const gamma = (1 + accuracy) / (1 - accuracy);
const logGamma = Math.log(gamma);

/** Counts of values in buckets of equal ratio: percentiles within 0.1 % of the value, in memory that does not grow with their number. */
export class Sketch {
  #counts = new Float64Array(256);
  /** The bucket that stands first in the array; undefined before the first value. */
  #first: number | undefined;
  #zeros = 0;
  #total = 0;

  add(value: number, count = 1): void {
    this.#total += count;
    if (value <= 1e-9) {
      this.#zeros += count;
      return;
    }
    const bucket = Math.ceil(Math.log(value) / logGamma);
    const at = this.#reach(bucket);
    this.#counts[at] = (this.#counts[at] ?? 0) + count;
  }

  /** The value below which a part of all values lies, by rank. */
  quantile(part: number): number {
    if (this.#total === 0) return 0;
    let rank = Math.round((this.#total - 1) * part) - this.#zeros;
    if (rank < 0) return 0;
    for (let at = 0; at < this.#counts.length; at++) {
      rank -= this.#counts[at] ?? 0;
      if (rank < 0) return this.#middle(at);
    }
    return 0;
  }

  /** Every bucket that holds something: its middle and its count, rising. */
  *buckets(): IterableIterator<readonly [value: number, count: number]> {
    if (this.#zeros > 0) yield [0, this.#zeros];
    for (let at = 0; at < this.#counts.length; at++) {
      const count = this.#counts[at] ?? 0;
      if (count > 0) yield [this.#middle(at), count];
    }
  }

  #reach(bucket: number): number {
    const { length } = this.#counts;
    this.#first ??= bucket - (length >> 1);
    const at = bucket - this.#first;
    if (at >= 0 && at < length) return at;
    const low = Math.min(this.#first, bucket - 64);
    const counts = new Float64Array(Math.max(this.#first + length, bucket + 65) - low);
    counts.set(this.#counts, this.#first - low);
    this.#counts = counts;
    this.#first = low;
    return bucket - low;
  }

  #middle(at: number): number {
    return (2 * gamma ** ((this.#first ?? 0) + at)) / (gamma + 1);
  }
}
