import type { MetricObjectWithValues, MetricValueWithName, Registry } from 'prom-client';
import { encodeLabels } from './encode.ts';
import type { FamilyShape, Kind, Line, Series } from './instruments.ts';
import { attachSource, type Metrics } from './metrics.ts';

type ForeignFamily = MetricObjectWithValues<MetricValueWithName<string>>;

/** Prints what a prom-client registry holds among the families of a node, in our form and order; disposing ends that. */
export const exposeRegistry = (metrics: Metrics, registry: Pick<Registry, 'getMetricsAsJSON'>): Disposable =>
  // The declared type leaves out the names of a histogram's lines, which are there.
  attachSource(metrics, async () => ((await registry.getMetricsAsJSON()) as unknown as ForeignFamily[]).map(readFamily));

/** What Node tells of this process: one in a process, as its observers can't be taken off again. */
let ofProcess: Promise<Registry> | undefined;

/**
 * Prints heap, garbage collection, event loop and file descriptors of this process with a node: the families `nodejs_*` and
 * `process_*` that dashboards for Node know. Loads prom-client, which nothing else needs.
 */
export async function exposeProcess(metrics: Metrics): Promise<Disposable> {
  ofProcess ??= import('prom-client').then(({ Registry: NewRegistry, collectDefaultMetrics }) => {
    const register = new NewRegistry();
    collectDefaultMetrics({ register });
    return register;
  });
  return exposeRegistry(metrics, await ofProcess);
}

function readFamily({ name, help, type, values }: ForeignFamily): { shape: FamilyShape; series: ReadonlyMap<string, Series> } {
  const series = new Map<string, Series & { readonly lines: Line[] }>();
  for (const { labels, value, metricName = name } of values) {
    const own: Record<string, string> = {};
    let last: readonly [string, string] | undefined;
    for (const [label, text] of Object.entries(labels)) {
      if (label === 'le' || label === 'quantile') last = [label, String(text)];
      else own[label] = String(text);
    }
    const key = encodeLabels(own);
    const entry = series.get(key) ?? { labels: own, cells: new Float64Array(0), lines: [] };
    series.set(key, entry);
    entry.lines.push({ suffix: metricName.slice(name.length), value: Number(value), ...(last === undefined ? {} : { last }) });
  }
  // An enum of plain words.
  return { shape: { name, help, kind: String(type) as Kind, labelNames: [], labels: {}, buckets: [] }, series };
}
