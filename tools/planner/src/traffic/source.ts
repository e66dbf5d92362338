import { DynamoError } from '@dynamo/runtime';
import type { Traffic } from '../throughput/decide.ts';
import { samplesOf } from './exposition.ts';

/** Traffic as it was, and how it was served, in seconds; 0 where nothing is known (spec planner 3). */
export interface MeasuredTraffic extends Traffic {
  readonly ttft: number;
  readonly itl: number;
}

/** Tells of the traffic since it was last asked. */
export interface TrafficSource {
  read(options: { readonly signal: AbortSignal }): Promise<MeasuredTraffic>;
}

/** Whose traffic counts: a model of any letter case, a namespace exactly; all when absent. */
export interface TrafficFilter {
  readonly model?: string;
  readonly namespace?: string;
}

const families = {
  inputTokens: 'input_sequence_tokens',
  outputTokens: 'output_sequence_tokens',
  ttft: 'time_to_first_token_seconds',
  itl: 'inter_token_latency_seconds',
  duration: 'request_duration_seconds',
} as const;
type Family = keyof typeof families;

type Totals = Readonly<Record<Family, { readonly sum: number; readonly count: number }>>;

/** A frontend's own page of metrics: what it counted between two looks. The first look counts nothing. */
export function frontendTraffic(url: string, filter: TrafficFilter = {}): TrafficSource {
  let before: Totals | undefined;
  return {
    async read({ signal }) {
      const now = totalsOf(await fetched(url, signal), filter);
      const mean = (family: Family): number => {
        const count = now[family].count - (before?.[family].count ?? 0);
        return count > 0 ? (now[family].sum - (before?.[family].sum ?? 0)) / count : 0;
      };
      // A frontend that began anew counts from 0 again.
      if (before !== undefined && now.duration.count < before.duration.count) before = undefined;
      const first = before === undefined;
      const requests = first ? 0 : now.duration.count - (before?.duration.count ?? 0);
      const traffic = { requests, inputTokens: mean('inputTokens'), outputTokens: mean('outputTokens'), ttft: mean('ttft'), itl: mean('itl') };
      before = now;
      return traffic;
    },
  };
}

function totalsOf(text: string, { model, namespace }: TrafficFilter): Totals {
  const totals = Object.fromEntries(Object.keys(families).map((family) => [family, { sum: 0, count: 0 }])) as Record<
    Family,
    { sum: number; count: number }
  >;
  const names = new Map<string, readonly [Family, 'sum' | 'count']>();
  for (const family of Object.keys(families) as Family[])
    for (const part of ['sum', 'count'] as const) names.set(`dynamo_frontend_${families[family]}_${part}`, [family, part]);
  for (const { name, labels, value } of samplesOf(text)) {
    const found = names.get(name);
    if (found === undefined || !Number.isFinite(value)) continue;
    if (model !== undefined && labels['model']?.toLowerCase() !== model.toLowerCase()) continue;
    if (namespace !== undefined && labels['dynamo_namespace'] !== undefined && labels['dynamo_namespace'] !== namespace) continue;
    totals[found[0]][found[1]] += value;
  }
  return totals;
}

/** A Prometheus server that scrapes frontends: increases over the interval (spec planner 3). */
export function prometheusTraffic(url: string, intervalSeconds: number, filter: TrafficFilter = {}): TrafficSource {
  const by = 'sum by (model, dynamo_namespace)';
  const range = `[${Math.max(1, Math.round(intervalSeconds))}s]`;
  const increase = (family: Family, part: 'sum' | 'count'): string => `${by}(increase(dynamo_frontend_${families[family]}_${part}${range}))`;
  return {
    async read({ signal }) {
      const ask = (query: string): Promise<number> => query1(url, query, { filter, signal });
      const mean = (family: Family): Promise<number> => ask(`${increase(family, 'sum')} / ${increase(family, 'count')}`);
      const requests = await ask(increase('duration', 'count'));
      return {
        requests,
        inputTokens: await mean('inputTokens'),
        outputTokens: await mean('outputTokens'),
        ttft: await mean('ttft'),
        itl: await mean('itl'),
      };
    },
  };
}

async function query1(url: string, query: string, { filter, signal }: { filter: TrafficFilter; signal: AbortSignal }): Promise<number> {
  const text = await fetched(`${url.replace(/\/$/, '')}/api/v1/query?query=${encodeURIComponent(query)}`, signal);
  let answer: { status?: string; error?: string; data?: { result?: { metric?: Record<string, string>; value?: [number, string] }[] } };
  try {
    answer = JSON.parse(text) as typeof answer;
  } catch (cause) {
    throw new DynamoError('backend_protocol', `${url} is no Prometheus server: its answer is no JSON`, { cause });
  }
  if (answer.status !== 'success') throw new DynamoError('backend_protocol', `Prometheus at ${url}: ${answer.error ?? 'no success'}`);
  const { model, namespace } = filter;
  for (const { metric = {}, value } of answer.data?.result ?? []) {
    if (model !== undefined && metric['model']?.toLowerCase() !== model.toLowerCase()) continue;
    if (namespace !== undefined && metric['dynamo_namespace'] !== undefined && metric['dynamo_namespace'] !== namespace) continue;
    const number = Number(value?.[1]);
    return Number.isFinite(number) ? number : 0;
  }
  return 0;
}

/** How long one question may take, in milliseconds. */
const answerMs = 10_000;

async function fetched(url: string, signal: AbortSignal): Promise<string> {
  let response: Response;
  try {
    response = await fetch(url, { signal: AbortSignal.any([signal, AbortSignal.timeout(answerMs)]) });
    if (response.ok) return await response.text();
  } catch (cause) {
    throw new DynamoError('unavailable', `can't read metrics from ${url}: ${String((cause as Error).cause ?? cause)}`, { cause });
  }
  throw new DynamoError('unavailable', `can't read metrics from ${url}: status ${response.status}`);
}
