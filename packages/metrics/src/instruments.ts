/** Counts up. */
export interface Counter<L extends string = never> {
  /** Adds an amount, 1 by default. A negative one throws a `RangeError`. */
  inc(amount?: number): void;
  get(): number;
  /** The series with these label values: bind it once, outside the hot path. */
  with(labels: Record<L, string>): Counter;
}

/** Goes up and down. */
export interface Gauge<L extends string = never> {
  set(value: number): void;
  inc(amount?: number): void;
  dec(amount?: number): void;
  get(): number;
  with(labels: Record<L, string>): Gauge;
}

/** Counts observations into buckets. */
export interface Histogram<L extends string = never> {
  /** Counts a value, `times` times (1 by default). */
  observe(value: number, times?: number): void;
  with(labels: Record<L, string>): Histogram;
}

/** Which sort of family; another library may know more of them. */
export type Kind = 'counter' | 'gauge' | 'histogram' | 'summary' | 'untyped';

/** A line of another library's series. */
export interface Line {
  /** What follows the family's name. */
  readonly suffix: string;
  /** The label behind all others: `le` or `quantile`. */
  readonly last?: readonly [name: string, value: string];
  readonly value: number;
}

/** One line's worth of state: a number, or the buckets of a histogram behind its sum. */
export interface Series {
  readonly labels: Readonly<Record<string, string>>;
  /** Counter and gauge: the value at 0. Histogram: the sum at 0, then one count a bucket, `+Inf` last. */
  readonly cells: Float64Array;
  /** Printed in the place of the cells: another library's series. */
  readonly lines?: readonly Line[];
}

/** What a family is made of. */
export interface FamilyShape {
  readonly name: string;
  readonly help: string;
  readonly kind: Kind;
  /** Labels that differ between series, in the order of their names. */
  readonly labelNames: readonly string[];
  /** Labels of the node, which every series has. */
  readonly labels: Readonly<Record<string, string>>;
  /** Upper bounds without `+Inf`, ascending. */
  readonly buckets: readonly number[];
}

/**
 * Most series that one family of a node keeps, so that label values which clients choose can't fill the memory.
 *
 * What is bound beyond it counts into nothing that is kept, and how often that happened is a series of its own:
 * `<prefix>_series_dropped_total{family}`.
 */
export const seriesLimit = 2_000;

/** All series of one name in one node. */
export class Family {
  readonly shape: FamilyShape;
  readonly series: Map<string, Series> = new Map();
  readonly #onFull: (name: string) => void;
  #dropped = 0;

  constructor(shape: FamilyShape, onFull: (name: string) => void = () => {}) {
    this.shape = shape;
    this.#onFull = onFull;
  }

  /** How often a series was asked for that the family had no room for. */
  get dropped(): number {
    return this.#dropped;
  }

  bind(values: Readonly<Record<string, string>>): Series {
    const { labelNames, labels, buckets, kind, name } = this.shape;
    const given = Object.keys(values);
    if (given.length !== labelNames.length || !labelNames.every((label) => Object.hasOwn(values, label)))
      throw new TypeError(`${name} takes the labels ${labelNames.join(', ') || '(none)'}, got ${given.join(', ') || '(none)'}`);
    const key = JSON.stringify(labelNames.map((label) => values[label]));
    const present = this.series.get(key);
    if (present !== undefined) return present;
    const made = { labels: { ...labels, ...values }, cells: new Float64Array(kind === 'histogram' ? buckets.length + 2 : 1) };
    if (this.series.size < seriesLimit) this.series.set(key, made);
    else if (++this.#dropped === 1) this.#onFull(name);
    return made;
  }

  /** Takes the series away that have all of these label values. */
  remove(labels: Readonly<Record<string, string>>): void {
    const wanted = Object.entries(labels);
    for (const [key, series] of this.series) if (wanted.every(([name, value]) => series.labels[name] === value)) this.series.delete(key);
  }
}

/** A family as one instrument sees it: some labels are the same for everything that the instrument counts. */
export class Binding {
  readonly name: string;
  readonly #family: Family;
  readonly #constant: Readonly<Record<string, string>>;

  constructor(family: Family, constant: Readonly<Record<string, string>>) {
    this.name = family.shape.name;
    this.#family = family;
    this.#constant = constant;
  }

  /** The instrument's only series; undefined where labels are left to bind. */
  get own(): Series | undefined {
    return Object.keys(this.#constant).length === this.#family.shape.labelNames.length ? this.#family.bind(this.#constant) : undefined;
  }

  get buckets(): readonly number[] {
    return this.#family.shape.buckets;
  }

  bind(values: Readonly<Record<string, string>>): Series {
    const twice = Object.keys(values).find((label) => Object.hasOwn(this.#constant, label));
    if (twice !== undefined) throw new TypeError(`${this.name} takes the label ${twice} as a constant`);
    return this.#family.bind({ ...values, ...this.#constant });
  }

  /** What is counted without `with` would be lost. */
  unbound(): never {
    throw new TypeError(`${this.name} has labels: bind them with 'with' first`);
  }
}

export function counterOf(binding: Binding, series: Series | undefined = binding.own): Counter<string> {
  const cells = series?.cells;
  return {
    inc(amount = 1) {
      if (cells === undefined) binding.unbound();
      if (!(amount >= 0)) throw new RangeError(`${binding.name} only counts up, got ${amount}`);
      cells[0] = (cells[0] as number) + amount;
    },
    get: () => cells?.[0] ?? binding.unbound(),
    with: (labels) => counterOf(binding, binding.bind(labels)) as Counter,
  };
}

export function gaugeOf(binding: Binding, series: Series | undefined = binding.own): Gauge<string> {
  const cells = series?.cells;
  const add = (amount: number): void => {
    if (cells === undefined) binding.unbound();
    cells[0] = (cells[0] as number) + amount;
  };
  return {
    set(value) {
      if (cells === undefined) binding.unbound();
      cells[0] = value;
    },
    inc: (amount = 1) => add(amount),
    dec: (amount = 1) => add(-amount),
    get: () => cells?.[0] ?? binding.unbound(),
    with: (labels) => gaugeOf(binding, binding.bind(labels)) as Gauge,
  };
}

export function histogramOf(binding: Binding, series: Series | undefined = binding.own): Histogram<string> {
  const cells = series?.cells;
  const buckets = Float64Array.from(binding.buckets);
  return {
    observe(value, times = 1) {
      if (cells === undefined) binding.unbound();
      cells[0] = (cells[0] as number) + value * times;
      let at = 0;
      // NaN is in no bucket but the infinite one.
      while (at < buckets.length && !(value <= (buckets[at] as number))) at++;
      cells[at + 1] = (cells[at + 1] as number) + times;
    },
    with: (labels) => histogramOf(binding, binding.bind(labels)) as Histogram,
  };
}
