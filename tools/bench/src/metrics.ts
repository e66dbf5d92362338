import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { Metrics } from '@dynamo/metrics';
import { Counter, Histogram, Registry } from 'prom-client';

/** Bounds of the histogram that every request passes, in seconds. */
const buckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600];
const rounds = 7;

/** Measures what one update of a metric costs, in nanoseconds: ours, prom-client's, and those of a Python worker's own library. */
export function metrics(options: { python: string; updates: number }): void {
  const { updates } = options;
  const ours = measureOurs(updates);
  const foreign = measurePromClient(updates);
  const python = measurePython(options);
  console.log('| update | ours | prom-client | prometheus_client in Python |\n|---|---:|---:|---:|');
  for (const name of Object.keys(ours)) console.log(`| ${name} | ${cell(ours[name])} | ${cell(foreign[name])} | ${cell(python[name])} |`);
}

const cell = (nanos: number | undefined): string => (nanos === undefined ? '' : `${nanos < 100 ? nanos.toFixed(1) : nanos.toFixed(0)} ns`);

type Figures = Record<string, number>;

function measureOurs(updates: number): Figures {
  const root = new Metrics({ prefix: 'dynamo_component', labels: { worker_id: '1f' } });
  const counter = root.counter('c_total', 'C', { labelNames: ['model', 'route'] });
  const bound = counter.with({ model: 'm', route: 'chat' });
  const gauge = root.gauge('g', 'G');
  const histogram = root.histogram('h', 'H', { buckets });
  return {
    'counter, bound': time(updates, () => bound.inc()),
    'counter, by labels': time(updates / 10, () => counter.with({ model: 'm', route: 'chat' }).inc()),
    gauge: time(updates, (at) => gauge.set(at)),
    'histogram of 17 buckets': time(updates, (at) => histogram.observe((at % 1_000) / 50)),
  };
}

function measurePromClient(updates: number): Figures {
  const registers = [new Registry()];
  const counter = new Counter({ name: 'c_total', help: 'C', labelNames: ['model', 'route'], registers });
  const bound = counter.labels('m', 'chat');
  const histogram = new Histogram({ name: 'h', help: 'H', buckets, registers });
  return {
    'counter, bound': time(updates / 10, () => bound.inc()),
    'counter, by labels': time(updates / 10, () => counter.inc({ model: 'm', route: 'chat' })),
    'histogram of 17 buckets': time(updates / 10, (at) => histogram.observe((at % 1_000) / 50)),
  };
}

function measurePython({ python, updates }: { python: string; updates: number }): Figures {
  const script = fileURLToPath(new URL('../peers/metric_updates.py', import.meta.url));
  const { stdout, status } = spawnSync(python, [script, String(updates / 100)], { encoding: 'utf8' });
  return status === 0 ? (JSON.parse(stdout) as Figures) : {};
}

/** Median nanoseconds of one call over some rounds. */
function time(calls: number, update: (at: number) => void): number {
  const took: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const start = process.hrtime.bigint();
    for (let at = 0; at < calls; at++) update(at);
    took.push(Number(process.hrtime.bigint() - start) / calls);
  }
  return took.toSorted((a, b) => a - b)[rounds >> 1] ?? Number.NaN;
}
