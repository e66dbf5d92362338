import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Metrics } from '@dynamo/metrics';
import { expect, test } from 'vitest';
import { cardFromDirectory } from '../model/card.ts';
import { FrontendMetrics } from './frontend-metrics.ts';

const catalogue = (
  JSON.parse(readFileSync(new URL('../../../../vectors/llm/metrics/catalogue.json', import.meta.url), 'utf8')) as {
    frontend: Record<string, { help: string; type: string; labels: string[]; buckets?: string[] }>;
  }
).frontend;

const tiny = fileURLToPath(new URL('../../../../vectors/llm/model-tiny', import.meta.url));

async function used(): Promise<FrontendMetrics> {
  const metrics = new FrontendMetrics();
  metrics.setModel(await cardFromDirectory(tiny, { name: 'tiny', aliases: ['small'], capacity: { kvBlocks: 8, sequences: 4, batchedTokens: 64 } }));
  const good = metrics.start({ model: 'small', endpoint: 'chat_completions', stream: true });
  good.stages.begin();
  good.stages.prepared({ template: 1, tokenize: 2 });
  good.stages.sent();
  good.stages.detokenized(0.5, 4);
  good.input(12);
  good.cached(8);
  good.output(1);
  good.output(3);
  good.end({});
  const bad = metrics.start({ model: 'tiny', endpoint: 'completions', stream: false });
  bad.end({ errorType: 'validation', class: 'InvalidRequest', reason: 'request.invalid_argument' });
  bad.end({});
  metrics.moved('tiny', 'new_request');
  metrics.settled('tiny', { kind: 'new_request', outcome: 'success', seconds: 0.1 });
  metrics.embedded('tiny', 0.02);
  return metrics;
}

test('every family has the real name, help, type, labels and buckets', async () => {
  const text = await (await used()).text();
  const families = [...text.matchAll(/^# HELP (\S+) (.*)\n# TYPE \S+ (\w+)/gm)];
  expect(families.length).toBeGreaterThan(18);
  for (const [, name = '', help, type] of families) {
    const real = catalogue[name];
    expect({ name, help, type }).toEqual({ name, help: real?.help, type: real?.type });
    const line = new RegExp(`^${name}(?:_bucket)?(?:\\{(.*)\\})? `, 'm').exec(text);
    const labels = [...(line?.[1] ?? '').matchAll(/(\w+)="/g)].map(([, label]) => label).filter((label) => label !== 'le');
    expect({ name, labels }).toEqual({ name, labels: real?.labels });
    if (type !== 'histogram') continue;
    const bounds = [...text.matchAll(new RegExp(`^${name}_bucket\\{.*le="(.*)"\\}`, 'gm'))].map(([, bound]) => bound);
    expect({ name, bounds: [...new Set(bounds)] }).toEqual({ name, bounds: real?.buckets });
  }
});

test('requests are counted under the first name of their model, once', async () => {
  const text = await (await used()).text();
  expect(text).toContain(
    'dynamo_frontend_requests_total{endpoint="chat_completions",error_type="",model="tiny",request_type="stream",status="success"} 1',
  );
  expect(text).toContain(
    'dynamo_frontend_requests_total{endpoint="completions",error_type="validation",model="tiny",request_type="unary",status="error"} 1',
  );
  expect(text).toContain('dynamo_frontend_failures_total{class="InvalidRequest",reason="request.invalid_argument"} 1');
  expect(text).toContain('dynamo_frontend_output_tokens_total{model="tiny"} 4');
  expect(text).toContain('dynamo_frontend_inter_token_latency_seconds_count{model="tiny"} 3');
  expect(text).toContain('dynamo_frontend_inflight_requests{model="tiny"} 0');
});

test('names that clients make up are one series, and the series of a model go with it', async () => {
  const metrics = await used();
  for (let name = 0; name < 50; name++) metrics.start({ model: `made up ${name}`, endpoint: 'chat_completions', stream: false }).end({});
  const before = await metrics.text();
  expect(before).not.toContain('made up');
  expect(before).toContain('model="unknown_model",request_type="unary",status="success"} 50');
  metrics.removeModel('tiny');
  expect(await metrics.text()).not.toContain('model="tiny"');
});

/** Families of the real frontend that ours does not have yet, by what they wait for. */
const leftOut: readonly { readonly why: string; readonly names: RegExp }[] = [
  { why: 'media parts are not counted by the routes', names: /_(audio|images|videos|image_tokens)_per_request$/ },
  { why: 'the tokenizer has no prefix cache of the real kind', names: /_tokenizer_cache_\w+$/ },
  { why: 'the KV router shows them, which knows its workers', names: /_worker_last_\w+$/ },
];

test('every family of the real frontend is there or has a reason not to be', async () => {
  const names = Object.keys(catalogue).filter((name) => name.startsWith('dynamo_frontend_'));
  const text = await (await used()).text();
  const missing = names.filter((name) => !text.includes(`# TYPE ${name} `));
  for (const name of missing) expect(leftOut.filter(({ names: pattern }) => pattern.test(name)).length, name).toBe(1);
  for (const { why, names: pattern } of leftOut)
    expect(
      missing.some((name) => pattern.test(name)),
      why,
    ).toBe(true);
});

test('a request is queued until its first token, or until it ends without one', async () => {
  const metrics = await used();
  const queued = async (): Promise<string | undefined> => /queued_requests\{model="tiny"\} (\d+)/.exec(await metrics.text())?.[1];
  expect(await queued()).toBe('0');
  const [one, two] = ['tiny', 'small'].map((model) => metrics.start({ model, endpoint: 'completions', stream: true }));
  expect(await queued()).toBe('2');
  one?.output(0);
  expect(await queued()).toBe('2');
  one?.output(2);
  two?.end({ errorType: 'cancelled', class: 'Cancelled', reason: 'request.cancelled' });
  expect(await queued()).toBe('0');
  one?.end({});
  expect(await queued()).toBe('0');
  const three = metrics.start({ model: 'tiny', endpoint: 'chat_completions', stream: false });
  three.end({ errorType: 'overload', class: 'CapacityExhausted', reason: 'capacity.exhausted' });
  const text = await metrics.text();
  expect(text).toContain('dynamo_frontend_disconnected_clients 1\n');
  // As a running 1.6.1 shows them, help included.
  expect(text).toContain('# HELP dynamo_frontend_model_cancellation_total Total number of request cancellations\n');
  expect(text).toContain('dynamo_frontend_model_cancellation_total{endpoint="completions",model="tiny",request_type="stream"} 1\n');
  expect(text).toContain('# HELP dynamo_frontend_model_rejection_total Total number of requests rejected due to resource exhaustion\n');
  expect(text).toContain('dynamo_frontend_model_rejection_total{endpoint="chat_completions",model="tiny"} 1\n');
});

test('the prefix can be changed; one that is no name is not taken', async () => {
  const text = (prefix: string): Promise<string> => new FrontendMetrics({ prefix }).text();
  expect(await text('my-frontend')).toContain('\nmy_frontend_disconnected_clients 0\n');
  expect(await text('')).toContain('\ndynamo_frontend_disconnected_clients 0\n');
  expect(await text('---')).toContain('\ndynamo_frontend_disconnected_clients 0\n');
});

test("the runtime's text follows the frontend's own", async () => {
  const beside = new Metrics({ prefix: 'dynamo_component' });
  beside.gauge('uptime_seconds', 'Uptime').set(2);
  using metrics = new FrontendMetrics({ beside });
  expect(await metrics.text()).toMatch(/dynamo_frontend_disconnected_clients 0\n[^]*# HELP dynamo_component_uptime_seconds Uptime\n.*\n.* 2\n$/);
});

test('a request is counted where it is, and what it took to get there', async () => {
  const metrics = await used();
  const at = async (): Promise<readonly (string | undefined)[]> => {
    const text = await metrics.text();
    return ['preprocess', 'route', 'dispatch'].map((stage) => new RegExp(`stage_requests\\{.*stage="${stage}"\\} (\\d+)`).exec(text)?.[1]);
  };
  const { stages, ...record } = metrics.start({ model: 'tiny', endpoint: 'chat_completions', stream: true });
  expect(record).toBeDefined();
  expect(await at()).toEqual(['0', '0', '0']);
  stages.begin();
  expect(await at()).toEqual(['1', '0', '0']);
  stages.prepared({ template: 3, tokenize: 20 });
  expect(await at()).toEqual(['0', '1', '0']);
  stages.sent();
  // A request of two prompts is sent twice.
  stages.sent();
  expect(await at()).toEqual(['0', '0', '1']);
  stages.answered();
  stages.detokenized(2, 10);
  stages.end();
  stages.end();
  expect(await at()).toEqual(['0', '0', '0']);
  const text = await metrics.text();
  for (const stage of ['preprocess', 'route', 'transport_roundtrip']) expect(text).toContain(`stage_duration_seconds_count{stage="${stage}"} 2`);
  expect(text).toContain('dynamo_frontend_template_seconds_sum 0.004\n');
  expect(text).toContain('dynamo_frontend_tokenize_seconds_sum 0.022\n');
  expect(text).toContain('dynamo_frontend_detokenize_token_count 14\n');
  expect(text).toContain('dynamo_frontend_detokenize_total_us 2500\n');
  expect(text).toContain('tokenizer_latency_ms_count{operation="detokenize"} 2\n');
});
