import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { encodeNumber, labelValue } from './internal.ts';
import { Metrics, prometheusNames } from './index.ts';
import { seriesLimit } from './instruments.ts';

const vector = (name: string): string => readFileSync(new URL(`../../../vectors/metrics/${name}`, import.meta.url), 'utf8');

test('the names are those of the real system', () => {
  expect(prometheusNames).toEqual(JSON.parse(vector('prometheus_names.json')));
});

const sanitized = JSON.parse(vector('label_sanitize.json')) as Record<string, { label?: string; error?: string }>;

test.each(Object.entries(sanitized))('label value of %j', (name, { label, error }) => {
  if (label === undefined) expect(() => labelValue(name)).toThrow(error);
  else expect(labelValue(name)).toBe(label);
});

test.each([
  [1e-7, '0.0000001'],
  [0.00075, '0.00075'],
  [3, '3'],
  [1e21, '1000000000000000000000'],
  [1.5e22, '15000000000000000000000'],
  [-2.5e-7, '-0.00000025'],
  [Number.POSITIVE_INFINITY, '+Inf'],
  [Number.NaN, 'NaN'],
])('%f is printed as %s', (value, text) => expect(encodeNumber(value)).toBe(text));

/** Rebuilds a real scrape in ours from its own lines, and expects the same text back. */
test.each(['worker.prom', 'worker_errors.prom', 'frontend.prom'])('%s is printed as the real system prints it', async (name) => {
  const text = vector(name);
  const metrics = new Metrics();
  const blocks = text.split(/^(?=# HELP)/m).filter((block) => block.startsWith('# HELP'));
  for (const block of blocks) {
    const [, family = '', help = ''] = /^# HELP (\S+) (.*)/.exec(block) ?? [];
    const [, kind = ''] = /^# TYPE \S+ (\w+)/m.exec(block) ?? [];
    for (const series of seriesIn(block, { family, kind })) {
      const labelNames = Object.keys(series.labels);
      if (kind === 'histogram') {
        const histogram = metrics.histogram(family, help, { labelNames, buckets: series.bounds }).with(series.labels);
        for (const value of series.observations) histogram.observe(value);
      } else if (kind === 'counter') metrics.counter(family, help, { labelNames }).with(series.labels).inc(series.value);
      else metrics.gauge(family, help, { labelNames }).with(series.labels).set(series.value);
    }
  }
  // Sums of made-up observations differ; everything else must not.
  const comparable = (whole: string): string[] =>
    whole
      .split('\n')
      .filter((line) => !/_sum[ {]/.test(line))
      .toSorted();
  expect(comparable(await metrics.text())).toEqual(comparable(blocks.join('')));
});

interface ReadSeries {
  labels: Record<string, string>;
  bounds: number[];
  observations: number[];
  value: number;
}

function seriesIn(block: string, { family, kind }: { family: string; kind: string }): ReadSeries[] {
  const found = new Map<string, ReadSeries>();
  for (const [, name = '', pairs = '', value = ''] of block.matchAll(/^([a-z_A-Z0-9:]+)(?:\{(.*)\})? (\S+)$/gm)) {
    const labels = Object.fromEntries([...pairs.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, key, text]) => [key, text])) as Record<
      string,
      string
    >;
    if (kind === 'histogram' && name !== `${family}_bucket`) continue;
    const { le, ...rest } = labels;
    const key = JSON.stringify(rest);
    const series = found.get(key) ?? { labels: rest, bounds: [], observations: [], value: Number(value) };
    found.set(key, series);
    if (le === undefined) continue;
    const before = series.observations.length;
    const bound = le === '+Inf' ? Number.MAX_VALUE : Number(le);
    for (let count = before; count < Number(value); count++) series.observations.push(bound);
    if (le !== '+Inf') series.bounds.push(bound);
  }
  return [...found.values()];
}

test('labels of a node are stamped on what is below it, and the tree is printed as one', async () => {
  const root = new Metrics({ prefix: 'dynamo_component', labels: { worker_id: '1f' } });
  root.child({ dynamo_namespace: 'a' }).counter('requests_total', 'Requests').inc(2);
  root.child({ dynamo_namespace: 'b' }).counter('requests_total', 'Requests').inc();
  root.gauge('uptime_seconds', 'Uptime').set(0.5);
  expect(await root.text()).toBe(
    [
      '# HELP dynamo_component_requests_total Requests',
      '# TYPE dynamo_component_requests_total counter',
      'dynamo_component_requests_total{dynamo_namespace="a",worker_id="1f"} 2',
      'dynamo_component_requests_total{dynamo_namespace="b",worker_id="1f"} 1',
      '# HELP dynamo_component_uptime_seconds Uptime',
      '# TYPE dynamo_component_uptime_seconds gauge',
      'dynamo_component_uptime_seconds{worker_id="1f"} 0.5',
      '',
    ].join('\n'),
  );
});

test('exposition texts follow unchanged, and what throws costs nothing else', async () => {
  const metrics = new Metrics();
  metrics.counter('a_total', 'A').inc();
  metrics.onExposition(() => 'ext_b 1');
  metrics.onExposition(() => '');
  metrics.onExposition(() => {
    throw new Error('no');
  });
  using _gone = metrics.onExposition(() => 'ext_c 2\n');
  metrics.onScrape(() => {
    throw new Error('no');
  });
  expect(await metrics.text()).toBe('# HELP a_total A\n# TYPE a_total counter\na_total 1\next_b 1\next_c 2\n');
  _gone[Symbol.dispose]();
  expect(await metrics.text()).not.toContain('ext_c');
});

test('misuse is named', async () => {
  const metrics = new Metrics({ labels: { worker_id: '1' } });
  const counter = metrics.counter('a_total', 'A', { labelNames: ['route'] });
  expect(
    metrics
      .counter('a_total', 'A', { labelNames: ['route'] })
      .with({ route: 'x' })
      .get(),
  ).toBe(0);
  counter.with({ route: 'x' }).inc(3);
  expect(
    metrics
      .counter('a_total', 'A', { labelNames: ['route'] })
      .with({ route: 'x' })
      .get(),
  ).toBe(3);
  expect(() => counter.with({} as never)).toThrow('a_total takes the labels route, got (none)');
  expect(() => metrics.counter('a_total', 'A')).toThrow('a_total has the labels route, not (none)');
  expect(() => metrics.gauge('a_total', 'A', { labelNames: ['route'] })).toThrow('a_total is a counter, not a gauge');
  expect(() => metrics.counter('b_total', 'B').inc(-1)).toThrow(RangeError);
  expect(() => metrics.counter('c_total', 'C', { labels: { worker_id: '2' } })).toThrow("Label 'worker_id' is automatically added");
  expect(() => metrics.counter('d_total', 'D', { labelNames: ['worker_id'] })).toThrow("Variable label name 'worker_id' conflicts");
  expect(() => metrics.counter('e_total', 'E', { labels: { 'bad-label': '1' } })).toThrow("'bad-label' is not a valid label name");
  metrics.child({ dynamo_namespace: 'n' }).gauge('b_total', 'other');
  await expect(metrics.text()).rejects.toThrow("Metric family 'b_total' has inconsistent help/type across sources");
});

test('label values without end make no series without end, and those of the gone go', async () => {
  const metrics = new Metrics();
  const counter = metrics.counter('a_total', 'A', { labelNames: ['who'] });
  for (let who = 0; who < seriesLimit + 500; who++) counter.with({ who: `w${who}` }).inc();
  const text = await metrics.text();
  expect(text.match(/^a_total\{/gm)).toHaveLength(seriesLimit);
  expect(text).toContain('metrics_series_dropped_total{family="a_total"} 500\n');
  metrics.remove({ who: 'w7' });
  expect(await metrics.text()).not.toContain('who="w7"}');
});

test('a name that nothing is left of is refused in the words of the real system', () => {
  const metrics = new Metrics({ prefix: 'dynamo_component' });
  expect(() => metrics.counter('', 'X')).toThrow('Cannot sanitize empty string into valid Prometheus name');
  expect(() => metrics.counter('日本', 'X')).toThrow(
    "Input '日本' contains only invalid characters and cannot be sanitized into a valid Prometheus name",
  );
  expect(() => labelValue('')).toThrow('Cannot sanitize empty string into valid Prometheus label');
});

test('a family that a node has room for again is not told of, and the dropped ones carry the labels of their node', async () => {
  const node = new Metrics({ prefix: 'dynamo_component', labels: { worker_id: '1f' } }).child({ dynamo_namespace: 'n' });
  const gauge = node.gauge('g', 'G', { labelNames: ['who'] });
  for (let who = 0; who <= seriesLimit; who++) gauge.with({ who: String(who) }).set(1);
  expect(await node.text()).toContain('dynamo_component_series_dropped_total{dynamo_namespace="n",family="dynamo_component_g",worker_id="1f"} 1\n');
  node.remove({ who: '0' });
  gauge.with({ who: 'new' }).set(2);
  expect(await node.text()).toContain('who="new",worker_id="1f"} 2\n');
});
