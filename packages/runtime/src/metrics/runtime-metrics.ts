import { Metrics } from '@dynamo/metrics';
import { attach } from '@dynamo/metrics/internal';
import type { InstanceId } from '../endpoint/instance.ts';
import type { Logger } from '../log.ts';
import { type CallerMetrics, countCalls } from './caller-metrics.ts';
import { countWork, type WorkMetrics } from './work-metrics.ts';

/** What one runtime counts. Two runtimes of a process count apart. */
export interface RuntimeMetrics {
  /** Root of the hierarchy: its names begin with `dynamo_component_` and its series carry the runtime's id. */
  readonly metrics: Metrics;
  readonly work: WorkMetrics;
  /** Families outside the hierarchy, under a prefix of their own; the same node each time. */
  readonly beside: (prefix: string) => Metrics;
  /** Counts calls; the families are there from the first time it is asked for. */
  readonly calls: () => CallerMetrics;
  /** Spans that were dropped before anybody took them. */
  readonly droppedSpans: (spans: number) => void;
}

/** Opens the metrics of a runtime (spec runtime-wire 15). */
export function openRuntimeMetrics(options: { instanceId: InstanceId; limits: { concurrency: number; queue: number }; log: Logger }): RuntimeMetrics {
  const onProblem = (problem: string, error?: unknown): void =>
    options.log.warn(error instanceof Error ? { error: error.message } : {}, `metrics: ${problem}`);
  const metrics = new Metrics({ prefix: 'dynamo_component', labels: { worker_id: options.instanceId.toString(16) }, onProblem });
  const uptime = metrics.gauge('uptime_seconds', 'Total uptime of the DistributedRuntime in seconds');
  const started = performance.now();
  metrics.onScrape(() => uptime.set((performance.now() - started) / 1_000));
  const others = new Map<string, Metrics>();
  const beside = (prefix: string): Metrics => {
    const present = others.get(prefix);
    if (present !== undefined) return present;
    const made = new Metrics({ prefix, onProblem });
    others.set(prefix, made);
    attach(metrics, made);
    return made;
  };
  // Families without labels, outside the hierarchy and its prefix.
  const outside = beside('dynamo');
  let calls: CallerMetrics | undefined;
  return {
    metrics,
    beside,
    calls: () => (calls ??= countCalls(metrics, { onProblem })),
    droppedSpans: (spans) => outside.counter('trace_spans_dropped_total', 'Spans that were dropped before a collector took them').inc(spans),
    work: countWork(outside, options.limits),
  };
}
