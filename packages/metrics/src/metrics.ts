import { encodeFamily, encodeLabels } from './encode.ts';
import {
  Binding,
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
import { automaticLabels, checkLabelName, metricName } from './sanitize.ts';

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

/** Told of what stops neither a count nor a scrape: a callback that throws, a series twice, a family that is full. */
export type OnProblem = (problem: string, error?: unknown) => void;

/** Families that another library keeps, read at each scrape. */
export type ForeignSource = () => Promise<readonly { readonly shape: FamilyShape; readonly series: ReadonlyMap<string, Series> }[]>;

/** Another library's text; a promise of it where that library makes it in its own time. */
type Exposition = () => string | Promise<string>;

/** First part of the names in the real system's hierarchy (spec metrics 2). */
const hierarchyPrefix = 'dynamo_component_';

/** Prints another tree together with a node and what is below it; disposing ends that. */
export let attach: (to: Metrics, other: Metrics) => Disposable;

/** Prints families of another library among a node's own; disposing ends that. */
export let attachSource: (to: Metrics, source: ForeignSource) => Disposable;

const droppedHelp = 'How often a series was asked for that its family had no room for';

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
  readonly #expositions = new Set<Exposition>();
  readonly #attached = new Set<Metrics>();
  readonly #foreign = new Set<ForeignSource>();
  readonly #onProblem: OnProblem;

  static {
    attach = (to, other) => joined(to.#attached, other);
    attachSource = (to, source) => joined(to.#foreign, source);
  }

  constructor(options: { prefix?: string; labels?: Record<string, string>; onProblem?: OnProblem } = {}) {
    this.#onProblem = options.onProblem ?? (() => {});
    this.#prefix = options.prefix === undefined || options.prefix === '' ? '' : `${metricName(options.prefix)}_`;
    this.#labels = { ...options.labels };
    for (const name of Object.keys(this.#labels)) checkLabelName(name);
  }

  /** A counter; asking again for the same name gives the same one. @throws TypeError when it was asked for with other labels. */
  counter<L extends string = never>(name: string, help: string, options: InstrumentOptions<L> = {}): Counter<L> {
    return counterOf(this.#binding('counter', { name, help, options }));
  }

  /** A gauge; asking again for the same name gives the same one. @throws TypeError when it was asked for with other labels. */
  gauge<L extends string = never>(name: string, help: string, options: InstrumentOptions<L> = {}): Gauge<L> {
    return gaugeOf(this.#binding('gauge', { name, help, options }));
  }

  /** A histogram; asking again for the same name gives the same one. @throws TypeError when it was asked for with other labels. */
  histogram<L extends string = never>(name: string, help: string, options: HistogramOptions<L> = {}): Histogram<L> {
    return histogramOf(this.#binding('histogram', { name, help, options }));
  }

  /** The node below with these labels; the same labels give the same node. */
  child(labels: Record<string, string>): Metrics {
    const clash = Object.keys(labels).find((name) => Object.hasOwn(this.#labels, name));
    if (clash !== undefined) throw new TypeError(`Label '${clash}' is automatically added by auto-label injection and cannot be manually set`);
    const key = encodeLabels(labels);
    const present = this.#children.get(key);
    if (present !== undefined) return present;
    const made = new Metrics({ prefix: this.#prefix.slice(0, -1), labels: { ...this.#labels, ...labels }, onProblem: this.#onProblem });
    this.#children.set(key, made);
    return made;
  }

  /** Takes away every series below this node that has all of these label values: those of a model or worker that is gone. */
  remove(labels: Record<string, string>): void {
    for (const family of this.#families.values()) family.remove(labels);
    for (const child of this.#children.values()) child.remove(labels);
  }

  /**
   * Appends another library's text, such as an engine's, unchanged behind our own.
   *
   * @example
   * // A prom-client registry that the program has already.
   * runtime.metrics.onExposition(() => registry.metrics());
   */
  onExposition(source: () => string | Promise<string>): Disposable {
    return joined(this.#expositions, source);
  }

  /** Refreshes gauges just before a scrape; what it throws is left out. */
  onScrape(update: () => void): Disposable {
    return joined(this.#updates, update);
  }

  /**
   * The text of this node and all below it.
   *
   * @throws TypeError when two nodes give one name different help texts or types.
   */
  async text(): Promise<string> {
    const nodes = [...this.#walk(new Set())];
    const attempt = attempting(this.#onProblem);
    for (const node of nodes) for (const update of node.#updates) await attempt('an update before a scrape raised', update);
    const families: { shape: FamilyShape; series: ReadonlyMap<string, Series> }[] = [];
    for (const node of nodes) {
      families.push(...node.#families.values(), ...node.#droppedSeries());
      for (const source of node.#foreign) {
        // One after the other: registries keep their order.
        families.push(...(await source().catch((error: unknown) => (this.#onProblem("another library's registry raised", error), []))));
      }
    }
    let text = '';
    for (const { shape, series } of merged(families, this.#onProblem)) text += encodeFamily(shape, series);
    for (const node of nodes) {
      for (const source of node.#expositions) {
        // One after the other: the texts keep their order.
        const more = (await attempt('expfmt callback raised', source)) ?? '';
        if (more !== '') text += text === '' || text.endsWith('\n') ? more : `\n${more}`;
      }
    }
    return text;
  }

  /** Depth first, each node once. */
  *#walk(seen: Set<Metrics>): Generator<Metrics> {
    if (seen.has(this)) return;
    seen.add(this);
    yield this;
    for (const below of [...this.#children.values(), ...this.#attached]) yield* below.#walk(seen);
  }

  /** What families had no room for, as a family that is there once something was dropped. */
  #droppedSeries(): { shape: FamilyShape; series: ReadonlyMap<string, Series> }[] {
    const full = [...this.#families.values()].filter((family) => family.dropped > 0);
    if (full.length === 0) return [];
    const name = `${this.#prefix || 'metrics_'}series_dropped_total`;
    const shape: FamilyShape = { name, help: droppedHelp, kind: 'counter', labelNames: ['family'], labels: this.#labels, buckets: [] };
    const series = full.map((family): [string, Series] => [
      family.shape.name,
      { labels: { ...this.#labels, family: family.shape.name }, cells: Float64Array.of(family.dropped) },
    ]);
    return [{ shape, series: new Map(series) }];
  }

  #binding(kind: Kind, asked: { name: string; help: string; options: HistogramOptions<string> }): Binding {
    const constant = { ...asked.options.labels };
    const binding = new Binding(this.#family(kind, asked), constant);
    // A series without labels to bind is shown from the start; one with labels, once they are bound.
    void binding.own;
    return binding;
  }

  #family(kind: Kind, asked: { name: string; help: string; options: HistogramOptions<string> }): Family {
    const name = this.#prefix + metricName(asked.name);
    const { help } = asked;
    const { labelNames: variable = [], labels = {}, buckets = defaultBuckets } = asked.options;
    this.#checkLabels(variable, Object.keys(labels));
    if (buckets.some((bound, at) => !Number.isFinite(bound) || (at > 0 && bound <= (buckets[at - 1] as number))))
      throw new TypeError(`buckets of ${name} do not ascend: ${buckets.join(', ')}`);
    const labelNames = [...variable, ...Object.keys(labels)].toSorted();
    const present = this.#families.get(name);
    if (present === undefined) {
      const shape = { name, help, kind, labelNames, labels: this.#labels, buckets: kind === 'histogram' ? buckets : [] };
      const made = new Family(shape, (full) => this.#onProblem(`${full} has as many series as it may have: further ones are not shown`));
      this.#families.set(name, made);
      return made;
    }
    const { shape } = present;
    if (shape.kind !== kind) throw new TypeError(`${name} is a ${shape.kind}, not a ${kind}`);
    if (shape.help !== help) throw new TypeError(`${name} is described as '${shape.help}', not as '${help}'`);
    if (shape.labelNames.join() !== labelNames.join())
      throw new TypeError(`${name} has the labels ${shape.labelNames.join(', ') || '(none)'}, not ${labelNames.join(', ') || '(none)'}`);
    return present;
  }

  #checkLabels(variable: readonly string[], constant: readonly string[]): void {
    const stamped = (label: string): boolean =>
      Object.hasOwn(this.#labels, label) || (this.#prefix === hierarchyPrefix && automaticLabels.includes(label));
    for (const label of [...variable, ...constant]) checkLabelName(label);
    for (const label of variable) {
      if (stamped(label)) throw new TypeError(`Variable label name '${label}' conflicts with auto-injected const label and cannot be used`);
    }
    for (const label of constant) {
      if (stamped(label)) throw new TypeError(`Label '${label}' is automatically added by auto-label injection and cannot be manually set`);
      if (variable.includes(label)) throw new TypeError(`Duplicate label key '${label}' found in labels`);
    }
  }
}

/** Joins families of one name; of identical series the first wins. */
function merged(
  families: readonly { readonly shape: FamilyShape; readonly series: ReadonlyMap<string, Series> }[],
  onProblem: OnProblem,
): { shape: FamilyShape; series: Series[] }[] {
  const byName = new Map<string, { shape: FamilyShape; series: Map<string, Series> }>();
  for (const { shape, series } of families) {
    // A family that has counted nothing yet is not there, whatever its help says.
    if (series.size === 0) continue;
    let target = byName.get(shape.name);
    if (target === undefined) byName.set(shape.name, (target = { shape, series: new Map() }));
    if (target.shape.help !== shape.help || target.shape.kind !== shape.kind)
      throw new TypeError(`Metric family '${shape.name}' has inconsistent help/type across sources`);
    // Each registry's series by their labels, the registries in their order: as the real system merges them.
    const sorted = [...series.values()].map((one) => [encodeLabels(one.labels), one] as const).toSorted(([x], [y]) => (x < y ? -1 : 1));
    for (const [key, one] of sorted) {
      if (target.series.has(key)) onProblem(`a series twice, the first one is shown: ${shape.name}{${key}}`);
      else target.series.set(key, one);
    }
  }
  return [...byName.values()]
    .toSorted((a, b) => (a.shape.name < b.shape.name ? -1 : 1))
    .map(({ shape, series }) => ({ shape, series: [...series.values()] }));
}

/** A callback's failure costs its own part of the scrape and no more. */
const attempting =
  (onProblem: OnProblem) =>
  async <T>(what: string, callback: () => T | Promise<T>): Promise<T | undefined> => {
    try {
      return await callback();
    } catch (error) {
      onProblem(what, error);
      return undefined;
    }
  };

function joined<T>(set: Set<T>, member: T): Disposable {
  set.add(member);
  return { [Symbol.dispose]: () => void set.delete(member) };
}
