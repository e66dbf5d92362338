import type { WireSummary } from '../wire/report.ts';

const measures = [
  ['TTFT, ms', 'ttft_ms'],
  ['TTST, ms', 'ttst_ms'],
  ['TPOT, ms', 'tpot_ms'],
  ['ITL, ms', 'itl_ms'],
  ['request, ms', 'e2e_latency_ms'],
  ['tokens/s a user', 'output_token_throughput_per_user'],
] as const;

const statistics = ['mean', 'median', 'p90', 'p95', 'p99', 'max'] as const;

/** A number as people read it. */
export function readable(value: number | string | null | undefined): string {
  if (typeof value !== 'number') return value ?? '';
  if (Number.isInteger(value)) return value.toLocaleString('en');
  const digits = Math.abs(value) >= 100 ? 1 : Math.abs(value) >= 1 ? 2 : 4;
  return value.toLocaleString('en', { maximumFractionDigits: digits, minimumFractionDigits: Math.min(digits, 2) });
}

/** Rows of text in columns; the first is to the left, the others to the right. */
export function columnsOf(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => (row[column] ?? '').length)));
  return rows
    .map((row) =>
      row
        .map((cell, column) => (column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** The report as a table for a terminal. */
export function tableOf(summary: WireSummary): string {
  const number = (key: string): string => readable(summary[key]);
  const facts = [
    `${number('completed_requests')} of ${number('num_requests')} requests completed in ${readable(Number(summary['duration_ms']) / 1_000)} s of simulated time, simulated in ${readable(Number(summary['wall_time_ms']) / 1_000)} s`,
    `${number('request_throughput_rps')} requests/s, ${number('input_throughput_tok_s')} prompt tokens/s, ${number('output_throughput_tok_s')} generated tokens/s`,
    `${readable(Number(summary['prefix_cache_reused_ratio']) * 100)} % of prompt tokens came from the cache; ${number('gpu_hours')} GPU hours`,
    ...('goodput_completed_requests' in summary
      ? [`${number('goodput_completed_requests')} requests kept their limits: ${number('goodput_request_throughput_rps')} requests/s`]
      : []),
  ];
  const rows = [['', ...statistics], ...measures.map(([label, key]) => [label, ...statistics.map((name) => number(`${name}_${key}`))])];
  return `${facts.join('\n')}\n\n${columnsOf(rows)}\n`;
}
