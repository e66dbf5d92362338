import { encodeFamily, encodeLabels } from './encode.ts';
import {
  type Counter,
  counterOf,
  Family,
  type FamilyShape,
  type Gauge,
  gaugeOf,
  type Histogram,
  histogramOf,
  type Kind,
  type Series,
} from './instruments.ts';
import { checkLabelName, metricName } from './sanitize.ts';

/** What an instrument's series are told apart by, and what all of them carry. */
export interface InstrumentOptions<L extends string> {
  /** Labels whose values `with` gives. */
  labelNames?: readonly L[];
  /** Labels with one value for the whole instrument. */
  labels?: Record<string, string>;
}

/** Options of a histogram. */
export interface HistogramOptions<L extends string> extends InstrumentOptions<L> {
  /** Upper bounds in ascending order, without infinity. Default: 0.005 to 10, for seconds. */
  buckets?: readonly number[];
}

const defaultBuckets: readonly number[] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/**
 * A node of the tree of metrics: runtime, namespace, component, endpoint.
 *
 * A node's labels are stamped on everything below it. `text()` prints the node and all its descendants in the Prometheus
 * text format 0.0.4, families in the order of their names (spec metrics 3).
 *
 * @example
 * const metrics = new Metrics({ prefix: 'shop' });
 * const sold = metrics.counter('sold_total', 'Things sold', { labelNames: ['kind'] }).with({ kind: 'book' });
 * sold.inc();
 */
export class Metrics {
  readonly #prefix: string;
  readonly #labels: Readonly<Record<string, string>>;
  readonly #families = new Map<string, Family>();
  readonly #children = new Map<string, Metrics>();
  readonly #updates = new Set<() => void>();
  readonly #expositions = new Set<() => string>();

  constructor(options: { prefix?: string; labels?: Record<string, string> } = {}) {
    this.#prefix = options.prefix === undefined || options.prefix === '' ? '' : `${metricName(options.prefix)}_`;
    this.#labels = { ...options.labels };
    for (const name of Object.keys(this.#labels)) checkLabelName(name);
  }

  /** A counter; asking again for the same name gives the same one. @throws TypeError when it was asked for with other labels. */
  counter<L extends string = never>(name: string, help: string, options: InstrumentOptions<L> = {}): Counter<L> {
    return counterOf(this.#family('counter', { name, help, options }));
  }

  /** A gauge; asking again for the same name gives the same one. @throws TypeError when it was asked for with other labels. */
  gauge<L extends string = never>(name: string, help: string, options: InstrumentOptions<L> = {}): Gauge<L> {
    return gaugeOf(this.#family('gauge', { name, help, options }));
  }

  /** A histogram; asking again for the same name gives the same one. @throws TypeError when it was asked for with other labels. */
  histogram<L extends string = never>(name: string, help: string, options: HistogramOptions<L> = {}): Histogram<L> {
    return histogramOf(this.#family('histogram', { name, help, options }));
  }

  /** The node below with these labels; the same labels give the same node. */
  child(labels: Record<string, string>): Metrics {
    const clash = Object.keys(labels).find((name) => Object.hasOwn(this.#labels, name));
    if (clash !== undefined) throw new TypeError(`Label '${clash}' is automatically added by auto-label injection and cannot be manually set`);
    const key = encodeLabels(labels);
    const present = this.#children.get(key);
    if (present !== undefined) return present;
    const made = new Metrics({ prefix: this.#prefix.slice(0, -1), labels: { ...this.#labels, ...labels } });
    this.#children.set(key, made);
    return made;
  }

  /** Takes away every series below this node that has all of these label values: those of a model or worker that is gone. */
  remove(labels: Record<string, string>): void {
    for (const family of this.#families.values()) family.remove(labels);
    for (const child of this.#children.values()) child.remove(labels);
  }

  /** Appends another library's text, such as an engine's, unchanged behind our own. */
  onExposition(source: () => string): Disposable {
    this.#expositions.add(source);
    return { [Symbol.dispose]: () => void this.#expositions.delete(source) };
  }

  /** Refreshes gauges just before a scrape; what it throws is left out. */
  onScrape(update: () => void): Disposable {
    this.#updates.add(update);
    return { [Symbol.dispose]: () => void this.#updates.delete(update) };
  }

  /**
   * The text of this node and all below it.
   *
   * @throws TypeError when two nodes give one name different help texts or types.
   */
  async text(): Promise<string> {
    const nodes = [...this.#walk()];
    for (const node of nodes) for (const update of node.#updates) attempt(update);
    let text = '';
    for (const { shape, series } of merged(nodes.map((node) => [...node.#families.values()]).flat())) text += encodeFamily(shape, series);
    for (const node of nodes) {
      for (const source of node.#expositions) {
        const more = attempt(source) ?? '';
        if (more !== '') text += text === '' || text.endsWith('\n') ? more : `\n${more}`;
      }
    }
    return text;
  }

  *#walk(): Generator<Metrics> {
    yield this;
    for (const child of this.#children.values()) yield* child.#walk();
  }

  #family(kind: Kind, asked: { name: string; help: string; options: HistogramOptions<string> }): Family {
    const name = this.#prefix + metricName(asked.name);
    const { labelNames = [], labels = {}, buckets = defaultBuckets } = asked.options;
    for (const label of [...labelNames, ...Object.keys(labels)]) checkLabelName(label);
    for (const label of labelNames) {
      if (Object.hasOwn(this.#labels, label))
        throw new TypeError(`Variable label name '${label}' conflicts with auto-injected const label and cannot be used`);
    }
    for (const label of Object.keys(labels)) {
      if (Object.hasOwn(this.#labels, label))
        throw new TypeError(`Label '${label}' is automatically added by auto-label injection and cannot be manually set`);
      if (labelNames.includes(label)) throw new TypeError(`Duplicate label key '${label}' found in labels`);
    }
    const present = this.#families.get(name);
    if (present === undefined) {
      const made = new Family({
        name,
        help: asked.help,
        kind,
        labelNames,
        labels: { ...this.#labels, ...labels },
        buckets: kind === 'histogram' ? buckets : [],
      });
      this.#families.set(name, made);
      return made;
    }
    const { shape } = present;
    if (shape.kind !== kind) throw new TypeError(`${name} is a ${shape.kind}, not a ${kind}`);
    if (shape.labelNames.toSorted().join() !== labelNames.toSorted().join())
      throw new TypeError(`${name} has the labels ${shape.labelNames.join(', ') || '(none)'}, not ${labelNames.join(', ') || '(none)'}`);
    return present;
  }
}

/** Joins families of one name; of identical series the first wins. */
function merged(families: readonly Family[]): { shape: FamilyShape; series: Series[] }[] {
  const byName = new Map<string, { shape: FamilyShape; series: Map<string, Series> }>();
  for (const { shape, series } of families) {
    let target = byName.get(shape.name);
    if (target === undefined) byName.set(shape.name, (target = { shape, series: new Map() }));
    if (target.shape.help !== shape.help || target.shape.kind !== shape.kind)
      throw new TypeError(`Metric family '${shape.name}' has inconsistent help/type across registries`);
    for (const one of series.values()) {
      const key = encodeLabels(one.labels);
      if (!target.series.has(key)) target.series.set(key, one);
    }
  }
  return [...byName.values()]
    .toSorted((a, b) => (a.shape.name < b.shape.name ? -1 : 1))
    .map(({ shape, series }) => ({ shape, series: [...series].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, one]) => one) }));
}

/** A callback's failure costs its own part of the scrape and no more. */
function attempt<T>(callback: () => T): T | undefined {
  try {
    return callback();
  } catch {
    return undefined;
  }
}
