import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
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
  good.input(12);
  good.output(1);
  good.output(3);
  good.end({});
  const bad = metrics.start({ model: 'tiny', endpoint: 'completions', stream: false });
  bad.end({ errorType: 'validation', class: 'InvalidRequest', reason: 'request.invalid_argument' });
  bad.end({});
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
  expect(before).toContain('model="unknown",request_type="unary",status="success"} 50');
  metrics.removeModel('tiny');
  expect(await metrics.text()).not.toContain('model="tiny"');
});
