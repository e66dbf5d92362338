import { ranked, type SweepResult } from '../sweep/sweep.ts';
import { columnsOf, readable } from './table.ts';

const columns = {
  'TTFT p50': 'median_ttft_ms',
  'TTFT p99': 'p99_ttft_ms',
  'ITL mean': 'mean_itl_ms',
  'request p99': 'p99_e2e_latency_ms',
  'tokens/s': 'output_throughput_tok_s',
  'cached %': 'prefix_cache_reused_ratio',
  'GPU h': 'gpu_hours',
} as const;

/** The combinations of a sweep as a table, the best by a figure first. */
export function rankingOf(results: readonly SweepResult[], by: string): string {
  const shown = Object.values(columns).includes(by as never) ? columns : { [by]: by, ...columns };
  const rows = ranked(results, by).map(({ label, summary, error }, index) => [
    `${index + 1}. ${label}`,
    ...Object.values(shown).map((key, at) =>
      summary === undefined
        ? at === 0
          ? `failed: ${error ?? ''}`
          : ''
        : readable(key === 'prefix_cache_reused_ratio' ? Number(summary[key]) * 100 : summary[key]),
    ),
  ]);
  return `ranked by ${by}\n\n${columnsOf([['', ...Object.keys(shown)], ...rows])}\n`;
}
