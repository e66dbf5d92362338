import { series, type Tally } from '../metrics/tally.ts';
import type { ReplayResult } from '../replay.ts';
import type { WireSummary } from '../wire/report.ts';
import { bars, escaped, type Line, lines } from './plots.ts';
import { readable } from './table.ts';

const style = `body{font:15px/1.45 system-ui,sans-serif;max-width:1180px;margin:2rem auto;padding:0 1rem;color:#111;background:#fff}
h1{font-size:1.4rem}figure{margin:0}figcaption{font-weight:600;margin:0 0 .3rem}
.plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(420px,1fr));gap:1.6rem}svg{width:100%;height:auto}
svg text{font-size:11px;fill:#555}.g{stroke:#e5e7eb}.m{stroke:#dc2626;stroke-dasharray:4 3}rect{fill:#2563eb}path{fill:none;stroke-width:1.5}
.keys{display:flex;flex-wrap:wrap;gap:.2rem 1rem;font-size:12px}.keys i{display:inline-block;width:10px;height:10px;margin-right:4px}
table{border-collapse:collapse;margin:1rem 0 2rem}td,th{padding:.25rem .8rem;text-align:right;border-bottom:1px solid #e5e7eb}td:first-child,th:first-child{text-align:left}
@media(prefers-color-scheme:dark){body{background:#111;color:#eee}svg text{fill:#aaa}.g{stroke:#333}td,th{border-color:#333}}`;

/** A report with its plots as one page that needs nothing else. */
export function htmlOf({ report, tally, ranks, blocks }: ReplayResult, title: string): string {
  const { summary } = report;
  return pageOf(
    title,
    `<p>${readable(summary['completed_requests'])} of ${readable(summary['num_requests'])} requests in ${readable(Number(summary['duration_ms']) / 1_000)} s of simulated time; ${readable(Number(summary['prefix_cache_reused_ratio']) * 100)} % of prompt tokens came from the cache.</p>
${figures(summary)}
<div class="plots">
${latencies(tally).join('\n')}
${overTime(tally, { ranks, blocks }).join('\n')}
</div>
<script type="application/json" id="summary">${JSON.stringify(summary).replaceAll('<', '\\u003c')}</script>`,
  );
}

/** One page that needs nothing else, around what is shown on it. */
export const pageOf = (title: string, inside: string): string => `<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>${escaped(title)}</title><style>${style}</style>
<h1>${escaped(title)}</h1>
${inside}
</html>
`;

const names = ['mean', 'median', 'p75', 'p90', 'p95', 'p99', 'max'] as const;
const rows = {
  'TTFT, ms': 'ttft_ms',
  'TPOT, ms': 'tpot_ms',
  'ITL, ms': 'itl_ms',
  'request, ms': 'e2e_latency_ms',
  'tokens/s a user': 'output_token_throughput_per_user',
} as const;

const figures = (summary: WireSummary): string =>
  `<table><tr><th></th>${names.map((name) => `<th>${name}</th>`).join('')}</tr>${Object.entries(rows)
    .map(([label, key]) => `<tr><td>${label}</td>${names.map((name) => `<td>${readable(summary[`${name}_${key}`])}</td>`).join('')}</tr>`)
    .join('')}</table>`;

function latencies(tally: Tally): string[] {
  const marks = (limit: number | undefined): Line[] => (limit === undefined ? [] : [{ label: 'limit', points: [[limit, 0]] }]);
  return [
    bars({ title: 'Time to first token', x: 'ms', y: 'requests' }, tally.ttft.histogram(48), marks(tally.sla?.ttftMs)),
    bars({ title: 'Time between tokens', x: 'ms', y: 'tokens' }, gaps(tally), marks(tally.sla?.itlMs)),
    bars({ title: 'Time of a request', x: 'ms', y: 'requests' }, tally.e2e.histogram(48), marks(tally.sla?.e2eMs)),
  ];
}

/** Gaps up to the 99.5th percentile in equal steps; the last bar holds what is longer. */
function gaps(tally: Tally): { from: number; to: number; counts: number[] } {
  const bins = 48;
  const { min: from } = tally.itl.distribution();
  const to = Math.max(from + 1e-6, tally.itl.sketch.quantile(0.995));
  const counts = Array.from({ length: bins }, () => 0);
  for (const [value, count] of tally.itl.sketch.buckets()) {
    const bin = Math.max(0, Math.min(bins - 1, Math.floor(((value - from) / (to - from)) * bins)));
    counts[bin] = (counts[bin] ?? 0) + count;
  }
  return { from, to, counts };
}

/** Most lines in one plot; beyond, the least, the mean and the most stand for all. */
const mostLines = 8;

function overTime(tally: Tally, { ranks, blocks }: { ranks: number; blocks: number }): string[] {
  const { overTime: sums, load } = tally;
  const seconds = (step: number, stepMs: number): number => ((step + 0.5) * stepMs) / 1_000;
  const used = Array.from({ length: ranks }, (_, rank) =>
    load.values(rank).map((sum, step): [number, number] => [seconds(step, load.stepMs), (100 * sum) / (load.stepMs * (blocks || 1))]),
  );
  const prompts = sums.values(series.promptTokens);
  const cached = sums.values(series.cachedTokens);
  const soFar = (part: readonly number[]): [number, number][] => {
    let [all, some] = [0, 0];
    return prompts.map((tokens, step) => {
      all += tokens;
      some += part[step] ?? 0;
      return [seconds(step, sums.stepMs), all === 0 ? 0 : Math.min(100, (100 * some) / all)];
    });
  };
  const achievable = sums.values(series.achievableTokens);
  const now = prompts.map((tokens, step): [number, number] => [seconds(step, sums.stepMs), tokens === 0 ? 0 : (100 * (cached[step] ?? 0)) / tokens]);
  const rate = (index: number): [number, number][] =>
    sums.values(index).map((count, step) => [seconds(step, sums.stepMs), (1_000 * count) / sums.stepMs]);
  return [
    lines(
      { title: 'Cache in use by rank', x: 's', y: '% of blocks' },
      ranks <= mostLines ? used.map((points, rank) => ({ label: `rank ${rank}`, points })) : spread(used),
    ),
    lines(
      { title: 'Prompt tokens from the cache', x: 's', y: '%' },
      [
        { label: 'at that time', points: now },
        { label: 'so far', points: soFar(cached) },
        ...(achievable.some((tokens) => tokens > 0) ? [{ label: 'achievable so far, with a cache without limits', points: soFar(achievable) }] : []),
      ],
      { top: 100 },
    ),
    lines({ title: 'Requests', x: 's', y: 'requests/s' }, [
      { label: 'arrived', points: rate(series.arrivals) },
      { label: 'ended', points: rate(series.ends) },
    ]),
  ];
}

function spread(all: readonly (readonly [number, number][])[]): Line[] {
  const longest = all.reduce((most, line) => (line.length > most.length ? line : most), all[0] ?? []);
  const at = (step: number): number[] => all.map((line) => line[step]?.[1] ?? 0);
  const over = (label: string, of: (values: readonly number[]) => number): Line => ({ label, points: longest.map(([x], step) => [x, of(at(step))]) });
  return [
    over('most', (values) => Math.max(...values)),
    over('mean', (values) => values.reduce((sum, value) => sum + value, 0) / values.length),
    over('least', (values) => Math.min(...values)),
  ];
}
