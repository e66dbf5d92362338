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

export type Kind = 'counter' | 'gauge' | 'histogram';

/** One line's worth of state: a number, or the buckets of a histogram behind its sum. */
export interface Series {
  readonly labels: Readonly<Record<string, string>>;
  /** Counter and gauge: the value at 0. Histogram: the sum at 0, then one count a bucket, `+Inf` last. */
  readonly cells: Float64Array;
}

/** What a family is made of. */
export interface FamilyShape {
  readonly name: string;
  readonly help: string;
  readonly kind: Kind;
  readonly labelNames: readonly string[];
  /** Label values that every series has. */
  readonly labels: Readonly<Record<string, string>>;
  /** Upper bounds without `+Inf`, ascending. */
  readonly buckets: readonly number[];
}

/** Most series that one family keeps: further label values are counted nowhere, so that nobody can fill the memory. */
export const seriesLimit = 2_000;

/** All series of one name in one node. */
export class Family {
  readonly shape: FamilyShape;
  readonly series: Map<string, Series> = new Map();

  constructor(shape: FamilyShape) {
    this.shape = shape;
    if (shape.labelNames.length === 0) this.bind({});
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
    return made;
  }

  /** Takes the series away that have all of these label values. */
  remove(labels: Readonly<Record<string, string>>): void {
    const wanted = Object.entries(labels);
    for (const [key, series] of this.series) if (wanted.every(([name, value]) => series.labels[name] === value)) this.series.delete(key);
  }
}

export function counterOf(family: Family, series?: Series): Counter<string> {
  const cells = series?.cells ?? unlabelled(family);
  return {
    inc(amount = 1) {
      if (!(amount >= 0)) throw new RangeError(`${family.shape.name} only counts up, got ${amount}`);
      cells[0] = (cells[0] as number) + amount;
    },
    get: () => cells[0] as number,
    with: (labels) => counterOf(family, family.bind(labels)) as Counter,
  };
}

export function gaugeOf(family: Family, series?: Series): Gauge<string> {
  const cells = series?.cells ?? unlabelled(family);
  return {
    set: (value) => void (cells[0] = value),
    inc: (amount = 1) => void (cells[0] = (cells[0] as number) + amount),
    dec: (amount = 1) => void (cells[0] = (cells[0] as number) - amount),
    get: () => cells[0] as number,
    with: (labels) => gaugeOf(family, family.bind(labels)) as Gauge,
  };
}

export function histogramOf(family: Family, series?: Series): Histogram<string> {
  const cells = series?.cells ?? unlabelled(family);
  const { buckets } = family.shape;
  return {
    observe(value, times = 1) {
      cells[0] = (cells[0] as number) + value * times;
      let at = 0;
      while (at < buckets.length && value > (buckets[at] as number)) at++;
      cells[at + 1] = (cells[at + 1] as number) + times;
    },
    with: (labels) => histogramOf(family, family.bind(labels)) as Histogram,
  };
}

/** A labelled family has no series of its own: what is counted without `with` would be lost. */
function unlabelled(family: Family): Float64Array {
  if (family.shape.labelNames.length > 0) return new Float64Array(family.shape.buckets.length + 2);
  return family.bind({}).cells;
}
