import { readFileSync } from 'node:fs';
import { Counter as ForeignCounter, Histogram as ForeignHistogram, Registry } from 'prom-client';
import { expect, test } from 'vitest';
import { encodeNumber } from './encode.ts';
import { seriesLimit } from './instruments.ts';
import { attach, Metrics } from './metrics.ts';
import { exposeProcess, exposeRegistry } from './prom-client.ts';

const vector = (name: string): string => readFileSync(new URL(`../../../vectors/metrics/${name}`, import.meta.url), 'utf8');
const hearing = (options: ConstructorParameters<typeof Metrics>[0] = {}): { metrics: Metrics; problems: string[] } => {
  const problems: string[] = [];
  return {
    problems,
    metrics: new Metrics({ ...options, onProblem: (problem, error) => problems.push([problem, error].filter(Boolean).join(': ')) }),
  };
};

test.each(['metrics/worker.prom', 'metrics/worker_errors.prom', 'runtime/metrics-worker.prom'])(
  '%s: counters and gauges come back byte by byte, in the same order',
  async (file) => {
    const metrics = new Metrics();
    const blocks = vector(`../${file}`)
      .split(/^(?=# HELP)/m)
      .filter((block) => / (counter|gauge)$/m.test(block.split('\n')[1] ?? ''));
    for (const block of blocks) {
      const [, name = '', help = ''] = /^# HELP (\S+) (.*)/.exec(block) ?? [];
      const counts = /^# TYPE \S+ counter$/m.test(block);
      for (const [, pairs = '', value = ''] of block.matchAll(/^[\w:]+(?:\{(.*)\})? (\S+)$/gm)) {
        const labels = Object.fromEntries([...pairs.matchAll(/(\w+)="(.*?)"/g)].map(([, label = '', text = '']) => [label, text]));
        const { error_type: errorType, ...registry } = labels;
        const node = metrics.child(registry);
        const own = errorType === undefined ? {} : { labels: { error_type: errorType } };
        if (counts) node.counter(name, help, own).inc(Number(value));
        else node.gauge(name, help, own).set(Number(value));
      }
    }
    expect(blocks.length).toBeGreaterThan(10);
    expect(await metrics.text()).toBe(blocks.join(''));
  },
);

test('external texts follow unchanged in the order of the registries, and one that throws is told of', async () => {
  const text = vector('expfmt_callbacks.prom');
  const { metrics, problems } = hearing();
  const [first, second] = [metrics.child({ e: '1' }), metrics.child({ e: '2' })];
  for (const source of ['# HELP ext_a A\n# TYPE ext_a gauge\next_a 42\n', 'ext_b 1', '']) first.onExposition(() => source);
  first.onExposition(() => {
    throw new Error('boom');
  });
  second.onExposition(() => 'ext_c 3\n');
  first.onExposition(() => '# TYPE ext_a gauge\next_a{q="1"} 43');
  expect(await metrics.text()).toBe(text.slice(text.indexOf('# HELP ext_a')));
  expect(problems).toEqual(['expfmt callback raised: Error: boom']);
});

test('instruments that differ in constant labels count apart', async () => {
  const metrics = new Metrics();
  metrics
    .counter('x', 'X', { labels: { model: 'a' }, labelNames: ['route'] })
    .with({ route: 'r' })
    .inc();
  metrics
    .counter('x', 'X', { labels: { model: 'b' }, labelNames: ['route'] })
    .with({ route: 'r' })
    .inc(2);
  expect(await metrics.text()).toBe('# HELP x X\n# TYPE x counter\nx{model="a",route="r"} 1\nx{model="b",route="r"} 2\n');
});

test('nothing is lost in silence', () => {
  const metrics = new Metrics();
  const labelled = { labelNames: ['route'] };
  expect(() => metrics.counter('c', 'C', labelled).inc()).toThrow("c has labels: bind them with 'with' first");
  expect(() => metrics.gauge('g', 'G', labelled).set(1)).toThrow(TypeError);
  expect(() => metrics.histogram('h', 'H', labelled).observe(1)).toThrow(TypeError);
  expect(() => metrics.counter('k', 'K', { ...labelled, labels: { a: '1' } }).with({ route: 'r', a: '2' } as never)).toThrow(TypeError);
  expect(() => metrics.counter('c', 'other', labelled)).toThrow("c is described as 'C', not as 'other'");
  expect(() => metrics.histogram('b', 'B', { buckets: [1, 1] })).toThrow('buckets of b do not ascend');
});

test('labels of the hierarchy are refused in the words of the real system', () => {
  const metrics = new Metrics({ prefix: 'dynamo_component' });
  for (const label of ['dynamo_namespace', 'dynamo_component', 'dynamo_endpoint', 'worker_id']) {
    expect(() => metrics.counter('x', 'X', { labels: { [label]: 'v' } })).toThrow(
      `Label '${label}' is automatically added by auto-label injection and cannot be manually set`,
    );
    expect(() => metrics.counter('x', 'X', { labelNames: [label] })).toThrow(
      `Variable label name '${label}' conflicts with auto-injected const label and cannot be used`,
    );
  }
  expect(() => metrics.counter('x', 'X', { labels: { m: '1' }, labelNames: ['m'] })).toThrow("Duplicate label key 'm' found in labels");
  expect(() => metrics.counter('x', 'X', { labels: { 'bad-label': '1' } })).toThrow("Error: 'bad-label' is not a valid label name");
});

test('a histogram counts any values as a plain count does; NaN is in the infinite bucket alone', async () => {
  const metrics = new Metrics();
  const buckets = [0, 0.0022, 0.0047, 0.01, 0.1, 0.47, 1, 4.7, 10];
  const values = Array.from({ length: 2_000 }, (_, at) => (at % 7 === 0 ? (buckets[at % 9] as number) : ((at * 7919) % 12_007) / 1_000));
  const histogram = metrics.histogram('h', 'H', { buckets });
  for (const value of values) histogram.observe(value);
  const counts = (text: string): number[] => [...text.matchAll(/^h_bucket\{.*\} (\d+)$/gm)].map(([, count]) => Number(count));
  const expected = [...buckets, Infinity].map((bound) => values.filter((value) => value <= bound).length);
  expect(counts(await metrics.text())).toEqual(expected);
  histogram.observe(NaN, 3);
  expect(counts(await metrics.text())).toEqual([...expected.slice(0, -1), 2_003]);
});

test('any number is printed without an exponent and reads back to itself', () => {
  const bits = new DataView(new ArrayBuffer(8));
  let state = 1;
  for (let at = 0; at < 5_000; at++) {
    for (const half of [0, 4]) bits.setUint32(half, (state = (Math.imul(state, 1664525) + 1013904223) >>> 0));
    const value = at === 0 ? -0 : bits.getFloat64(0);
    if (!Number.isFinite(value)) continue;
    expect(encodeNumber(value)).toMatch(/^-?\d+(\.\d+)?$/);
    expect(Number(encodeNumber(value))).toBe(value);
  }
});

test('whatever a label or help text holds, each series stays one line that reads back', async () => {
  const metrics = new Metrics();
  const values = ['', 'plain', 'quote " and \\', 'line\nbreak', '\\n', 'é😀', '{}=, ', ',le="1"} 2', '\u0000'];
  const gauge = metrics.gauge('g', 'help \\ with\nbreak', { labelNames: ['a', 'b'] });
  for (const a of values) for (const b of values) gauge.with({ a, b }).set(1);
  const lines = (await metrics.text()).split('\n');
  expect(lines[0]).toBe('# HELP g help \\\\ with\\nbreak');
  const unescape = (text = ''): string => text.replaceAll(/\\(.)/g, (_, letter: string) => (letter === 'n' ? '\n' : letter));
  const read = lines.slice(2, -1).map((line) => {
    const [, a, b] = /^g\{a="((?:[^"\\]|\\.)*)",b="((?:[^"\\]|\\.)*)"\} 1$/su.exec(line) ?? [];
    return JSON.stringify([unescape(a), unescape(b)]);
  });
  expect(new Set(read)).toEqual(new Set(values.flatMap((a) => values.map((b) => JSON.stringify([a, b])))));
});

test('updates run before each text, and disposing ends them', async () => {
  const { metrics, problems } = hearing();
  const gauge = metrics.child({ a: 'b' }).gauge('g', 'G');
  metrics.onScrape(() => {
    throw new Error('boom');
  });
  const update = metrics.onScrape(() => gauge.inc());
  expect(await metrics.text()).toContain('g{a="b"} 1\n');
  expect(await metrics.text()).toContain('g{a="b"} 2\n');
  update[Symbol.dispose]();
  expect(await metrics.text()).toContain('g{a="b"} 2\n');
  expect(problems).toHaveLength(3);
});

test('attached trees are one text: a series twice is shown once, each node is visited once', async () => {
  const { metrics, problems } = hearing();
  const other = new Metrics();
  metrics.counter('x', 'X').inc(1);
  other.counter('x', 'X').inc(2);
  other.gauge('a', 'A').set(1);
  using _round = attach(other, metrics);
  const attached = attach(metrics, other);
  expect(await metrics.text()).toBe('# HELP a A\n# TYPE a gauge\na 1\n# HELP x X\n# TYPE x counter\nx 1\n');
  expect(problems).toEqual(['a series twice, the first one is shown: x{}']);
  attached[Symbol.dispose]();
  expect(await metrics.text()).not.toContain('# HELP a');
});

test('a full family is told of once', () => {
  const { metrics, problems } = hearing();
  const counter = metrics.counter('x', 'X', { labelNames: ['who'] });
  for (let who = 0; who < seriesLimit + 5; who++) counter.with({ who: String(who) }).inc();
  expect(problems).toEqual(['x has as many series as it may have: further ones are not shown']);
});

test('two trees share nothing', async () => {
  const [one, two] = [new Metrics(), new Metrics()];
  one.counter('x', 'X').inc(5);
  expect(two.counter('x', 'X').get()).toBe(0);
  expect(await two.text()).toBe('# HELP x X\n# TYPE x counter\nx 0\n');
});

test('what prom-client holds is printed among the rest, in our form', async () => {
  const registry = new Registry();
  new ForeignCounter({ name: 'b_total', help: 'B', labelNames: ['z', 'a'], registers: [registry] }).inc({ z: '1', a: '2' }, 1e-7);
  new ForeignHistogram({ name: 'a_seconds', help: 'A', buckets: [1, 2], registers: [registry] }).observe(1.5);
  const metrics = new Metrics();
  metrics.gauge('ab', 'AB').set(1);
  const shown = exposeRegistry(metrics, registry);
  expect(await metrics.text()).toBe(
    [
      '# HELP a_seconds A\n# TYPE a_seconds histogram',
      'a_seconds_bucket{le="1"} 0\na_seconds_bucket{le="2"} 1\na_seconds_bucket{le="+Inf"} 1\na_seconds_sum 1.5\na_seconds_count 1',
      '# HELP ab AB\n# TYPE ab gauge\nab 1',
      '# HELP b_total B\n# TYPE b_total counter\nb_total{a="2",z="1"} 0.0000001\n',
    ].join('\n'),
  );
  shown[Symbol.dispose]();
  expect(await metrics.text()).not.toContain('b_total');
});

test('the text of a prom-client registry joins behind ours by one line', async () => {
  const registry = new Registry();
  new ForeignCounter({ name: 'own_total', help: 'Own', registers: [registry] }).inc(2);
  const { metrics, problems } = hearing();
  metrics.counter('x', 'X').inc();
  metrics.onExposition(() => registry.metrics());
  metrics.onExposition(() => Promise.reject(new Error('late boom')));
  metrics.onExposition(() => 'last 1\n');
  expect(await metrics.text()).toBe('# HELP x X\n# TYPE x counter\nx 1\n# HELP own_total Own\n# TYPE own_total counter\nown_total 2\nlast 1\n');
  expect(problems).toEqual(['expfmt callback raised: Error: late boom']);
});

test('facts of the Node process are shown when asked for', async () => {
  const metrics = new Metrics();
  using _shown = await exposeProcess(metrics);
  const text = await metrics.text();
  expect(text).toMatch(/^nodejs_eventloop_lag_seconds /m);
  expect(text).toMatch(/^process_resident_memory_bytes \d+$/m);
});
