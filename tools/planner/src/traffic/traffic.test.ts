import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { samplesOf } from './exposition.ts';
import { frontendTraffic, prometheusTraffic } from './source.ts';

/** A server that answers as told, and what it was asked. */
async function answering(answer: (path: string) => { status?: number; body: string }) {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(request.url ?? '');
    const { status = 200, body } = answer(request.url ?? '');
    response.writeHead(status).end(body);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    async [Symbol.asyncDispose]() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}

const { signal } = new AbortController();
const page = (count: number, model = 'Qwen3'): string =>
  ['input_sequence_tokens', 'output_sequence_tokens', 'time_to_first_token_seconds', 'inter_token_latency_seconds', 'request_duration_seconds']
    .map(
      (name, index) =>
        `dynamo_frontend_${name}_sum{model="${model}"} ${count * (index + 1) * 10}\ndynamo_frontend_${name}_count{model="${model}"} ${count}\n`,
    )
    .join('');

test('the page of a real frontend is read', () => {
  const text = readFileSync(new URL('../../../../vectors/metrics/frontend.prom', import.meta.url), 'utf8');
  const samples = [...samplesOf(text)];
  expect(samples).toContainEqual({ name: 'dynamo_frontend_input_sequence_tokens_sum', labels: { model: 'qwen3' }, value: 82 });
  expect(samples).toHaveLength(text.split('\n').filter((line) => line !== '' && !line.startsWith('#')).length);
  expect([...samplesOf('a{b="c\\"\\n,d=\\"e"} +Inf 17\nno sample\n# x 1')]).toEqual([{ name: 'a', labels: { b: 'c"\n,d="e' }, value: Infinity }]);
});

test('a frontend: what came between two looks, of one model, and nothing of a frontend that began anew', async () => {
  let text = page(100);
  await using server = await answering(() => ({ body: text }));
  const source = frontendTraffic(server.url, { model: 'qwen3', namespace: 'any' });
  expect((await source.read({ signal })).requests).toBe(0);
  text = page(150) + page(900, 'other');
  expect(await source.read({ signal })).toEqual({ requests: 50, inputTokens: 10, outputTokens: 20, ttft: 30, itl: 40 });
  expect(await source.read({ signal })).toEqual({ requests: 0, inputTokens: 0, outputTokens: 0, ttft: 0, itl: 0 });
  text = page(3);
  expect((await source.read({ signal })).requests).toBe(0);
});

test('a Prometheus server: increases over the interval, 0 where there is no number', async () => {
  const result = (value: string) =>
    JSON.stringify({ status: 'success', data: { result: [{ metric: { model: 'QWEN3', dynamo_namespace: 'ns' }, value: [1, value] }] } });
  await using server = await answering((path) => ({
    body: result(path.includes('input_sequence') ? '3000' : path.includes('latency') ? 'NaN' : '12'),
  }));
  const traffic = await prometheusTraffic(server.url, 180, { model: 'qwen3', namespace: 'ns' }).read({ signal });
  expect(traffic).toEqual({ requests: 12, inputTokens: 3000, outputTokens: 12, ttft: 12, itl: 0 });
  expect(decodeURIComponent(server.asked[1] ?? '')).toBe(
    '/api/v1/query?query=sum by (model, dynamo_namespace)(increase(dynamo_frontend_input_sequence_tokens_sum[180s])) / sum by (model, dynamo_namespace)(increase(dynamo_frontend_input_sequence_tokens_count[180s]))',
  );
  expect((await prometheusTraffic(server.url, 180, { model: 'qwen3', namespace: 'other' }).read({ signal })).requests).toBe(0);
});

test('what does not answer, or answers with something else, is a typed error', async () => {
  await using server = await answering((path) => (path.startsWith('/bad') ? { status: 500, body: '' } : { body: '<html>' }));
  await expect(frontendTraffic(`${server.url}/bad`).read({ signal })).rejects.toMatchObject({ code: 'unavailable' });
  await expect(prometheusTraffic(server.url, 5).read({ signal })).rejects.toMatchObject({ code: 'backend_protocol' });
  await expect(frontendTraffic('http://127.0.0.1:1/metrics').read({ signal })).rejects.toMatchObject({ code: 'unavailable' });
});
