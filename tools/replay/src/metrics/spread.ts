import { Sketch } from './sketch.ts';

/** One measure of a report: where its values lie. */
export interface Distribution {
  readonly mean: number;
  readonly min: number;
  readonly max: number;
  readonly median: number;
  readonly p75: number;
  readonly p90: number;
  readonly p95: number;
  readonly p99: number;
  readonly std: number;
}

const parts = { median: 0.5, p75: 0.75, p90: 0.9, p95: 0.95, p99: 0.99 } as const;

/** Count, mean and spread of values, without keeping them. */
class Moments {
  count = 0;
  #sum = 0;
  #mean = 0;
  #square = 0;
  min = Infinity;
  max = -Infinity;

  add(value: number, count: number): void {
    this.count += count;
    this.#sum += value * count;
    const distance = value - this.#mean;
    this.#mean += (distance * count) / this.count;
    this.#square += count * distance * (value - this.#mean);
    if (value < this.min) this.min = value;
    if (value > this.max) this.max = value;
  }

  get mean(): number {
    return this.#sum / this.count;
  }

  get std(): number {
    return Math.sqrt(Math.max(0, this.#square) / this.count);
  }
}

const nothing: Distribution = { mean: 0, min: 0, max: 0, median: 0, p75: 0, p90: 0, p95: 0, p99: 0, std: 0 };

/** Values whose percentiles may be off by 0.1 %: gaps between tokens. */
export class TokenSpread {
  readonly sketch: Sketch = new Sketch();
  readonly #moments = new Moments();

  get count(): number {
    return this.#moments.count;
  }

  add(value: number, count = 1): void {
    this.#moments.add(value, count);
    this.sketch.add(value, count);
  }

  distribution(): Distribution {
    const { count, mean, min, max, std } = this.#moments;
    if (count === 0) return nothing;
    const within = (value: number): number => Math.min(max, Math.max(min, value));
    return { mean, min, max, ...mapped((part) => within(this.sketch.quantile(part))), std };
  }
}

/** Values beyond this many are counted in a sketch: exact percentiles keep every value. */
const keptValues = 1 << 20;

/** Values whose percentiles are exact, one a request, for the first million of them. */
export class RequestSpread {
  readonly #moments = new Moments();
  #values = new Float64Array(1024);
  #sketch: Sketch | undefined;

  get count(): number {
    return this.#moments.count;
  }

  /** Whether percentiles are exact still. */
  get exact(): boolean {
    return this.#sketch === undefined;
  }

  add(value: number): void {
    const { count } = this.#moments;
    this.#moments.add(value, 1);
    if (this.#sketch !== undefined) return this.#sketch.add(value);
    if (count === keptValues) return this.#overflow(value);
    if (count === this.#values.length) {
      const values = new Float64Array(count * 2);
      values.set(this.#values);
      this.#values = values;
    }
    this.#values[count] = value;
  }

  distribution(): Distribution {
    const { count, mean, min, max, std } = this.#moments;
    if (count === 0) return nothing;
    if (this.#sketch !== undefined) return { mean, min, max, ...mapped((part) => this.#sketch?.quantile(part) ?? 0), std };
    const sorted = this.#values.slice(0, count).sort();
    return { mean, min, max, ...mapped((part) => sorted[Math.round((count - 1) * part)] ?? 0), std };
  }

  /** Counts in `bins` equal steps from the least to the largest value. */
  histogram(bins: number): { readonly from: number; readonly to: number; readonly counts: readonly number[] } {
    const { min, max, count } = this.#moments;
    const counts = Array.from({ length: bins }, () => 0);
    if (count === 0) return { from: 0, to: 0, counts };
    const binOf = (value: number): number => (max === min ? 0 : Math.min(bins - 1, Math.floor(((value - min) / (max - min)) * bins)));
    const put = (value: number, times: number): void => void (counts[binOf(value)] = (counts[binOf(value)] ?? 0) + times);
    if (this.#sketch === undefined) for (let at = 0; at < count; at++) put(this.#values[at] ?? 0, 1);
    else for (const [value, times] of this.#sketch.buckets()) put(value, times);
    return { from: min, to: max, counts };
  }

  #overflow(value: number): void {
    const sketch = new Sketch();
    for (const kept of this.#values) sketch.add(kept);
    sketch.add(value);
    this.#sketch = sketch;
    this.#values = new Float64Array(0);
  }
}

const mapped = (at: (part: number) => number): { readonly [K in keyof typeof parts]: number } => ({
  median: at(parts.median),
  p75: at(parts.p75),
  p90: at(parts.p90),
  p95: at(parts.p95),
  p99: at(parts.p99),
});
