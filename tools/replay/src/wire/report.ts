import type { Distribution } from '../metrics/spread.ts';
import type { Tally } from '../metrics/tally.ts';
import type { SimRequest } from '../sim-request.ts';

/** The summary of a replay under the names of the real report (spec mocker 8). */
export type WireSummary = Readonly<Record<string, number | string | null>>;

/** What a replay reports. */
export interface WireReport {
  readonly summary: WireSummary;
  readonly per_request: readonly Readonly<Record<string, unknown>>[] | null;
  readonly coverage: {
    readonly capture_per_request: boolean;
    readonly capture_planner_details: false;
    readonly per_request_records: number;
  };
  readonly planner: null;
}

/** What a summary needs beside the tally. */
export interface SummaryFacts {
  readonly wallMs: number;
  readonly prefillWorkers: number;
  readonly decodeWorkers: number;
  /** GPUs of one worker. */
  readonly gpus: number;
}

/** Writes the summary; formulas in spec mocker 8. */
export function summaryOf(tally: Tally, { wallMs, prefillWorkers, decodeWorkers, gpus }: SummaryFacts): WireSummary {
  const seconds = Math.max(tally.durationMs / 1_000, 1e-9);
  const tokens = tally.inputTokens + tally.outputTokens;
  const wallSeconds = Math.max(wallMs / 1_000, 1e-9);
  const prefillSeconds = (prefillWorkers * tally.endMs) / 1_000;
  const decodeSeconds = (decodeWorkers * tally.endMs) / 1_000;
  const ratio = (part: number): number => (tally.inputTokens === 0 ? 0 : part / tally.inputTokens);
  return {
    kv_eviction_policy: 'lru',
    committed_prefill_tokens: tally.committedPrefillTokens,
    num_requests: tally.requests,
    completed_requests: tally.completed,
    total_input_tokens: tally.inputTokens,
    total_output_tokens: tally.outputTokens,
    duration_ms: tally.durationMs,
    wall_time_ms: wallMs,
    request_throughput_rps: tally.completed / seconds,
    input_throughput_tok_s: tally.inputTokens / seconds,
    output_throughput_tok_s: tally.outputTokens / seconds,
    total_throughput_tok_s: tokens / seconds,
    prefill_worker_seconds: prefillSeconds,
    decode_worker_seconds: decodeSeconds,
    prefill_gpus_per_worker: prefillWorkers === 0 ? 0 : gpus,
    decode_gpus_per_worker: gpus,
    gpu_hours: ((prefillSeconds + decodeSeconds) / 3_600) * gpus,
    power_w: null,
    power_coverage: null,
    processed_tokens: tokens,
    processed_tokens_per_s: tokens / wallSeconds,
    processed_output_tokens_per_s: tally.outputTokens / wallSeconds,
    prefix_cache_reused_ratio: ratio(tally.reusedTokens),
    first_admission_prefix_cache_reused_ratio: ratio(tally.firstReusedTokens),
    ...(tally.sla === undefined
      ? {}
      : {
          goodput_completed_requests: tally.good,
          goodput_request_throughput_rps: tally.good / seconds,
          goodput_output_throughput_tok_s: tally.goodOutputTokens / seconds,
        }),
    num_ttft_samples: tally.ttft.count,
    num_tpot_samples: tally.tpot.count,
    num_e2e_latency_samples: tally.e2e.count,
    ...named('ttft_ms', tally.ttft.distribution()),
    ...named('ttst_ms', tally.ttst.distribution()),
    ...named('tpot_ms', tally.tpot.distribution()),
    ...named('itl_ms', tally.itl.distribution()),
    ...named('e2e_latency_ms', tally.e2e.distribution()),
    ...named('output_token_throughput_per_user', tally.tokenRate.distribution()),
  };
}

const named = (measure: string, distribution: Distribution): Record<string, number> =>
  Object.fromEntries(Object.entries(distribution).map(([name, value]) => [`${name}_${measure}`, value as number]));

const known = (value: number): number | null => (Number.isNaN(value) ? null : value);

/** One request under the names of the real report. */
export function requestRecord(request: SimRequest, sessions: boolean): Readonly<Record<string, unknown>> {
  const { turn, arrivalMs, firstTokenMs, lastTokenMs, secondTokenMs, tokens } = request;
  const history = request.notes ?? [];
  const split = request.prefillRank >= 0;
  return {
    session_id: sessions ? (turn.session ?? `request_${request.id + 1}`) : null,
    turn_index: sessions ? turn.turn : null,
    uuid: null,
    arrival_time_ms: arrivalMs,
    dispatched_at_ms: null,
    first_admit_ms: known(request.firstAdmitMs),
    terminal_time_ms: known(request.endMs),
    first_token_ms: known(firstTokenMs),
    last_token_ms: known(lastTokenMs),
    ttft_ms: known(firstTokenMs - arrivalMs),
    ttst_ms: known(secondTokenMs - firstTokenMs),
    e2e_latency_ms: known(lastTokenMs - arrivalMs),
    itl_ms: tokens < 2 ? null : (lastTokenMs - firstTokenMs) / (tokens - 1),
    input_length: turn.input,
    requested_output_length: turn.output,
    output_length: tokens,
    reused_input_tokens: request.cachedTokens,
    prefill_worker_idx: split ? request.prefillRank : null,
    decode_worker_idx: request.rank < 0 ? null : request.rank,
    prefill_admit_ms: split ? known(request.prefillAdmitMs) : null,
    source_held_ms: known(request.heldMs),
    destination_reserved_ms: known(request.reservedMs),
    destination_activated_ms: known(request.activatedMs),
    decode_admit_ms: known(request.decodeAdmitMs),
    source_released_ms: known(request.releasedMs),
    decode_reused_input_tokens: split && !Number.isNaN(request.decodeAdmitMs) ? request.decodeCachedTokens : null,
    admission_history: history.map(({ atMs, cachedTokens, pool }, index) => ({
      admission_ordinal: index,
      pool_admission_ordinal: history.slice(0, index).filter((other) => other.pool === pool).length,
      pool,
      at_ms: atMs,
      reused_input_tokens: cachedTokens,
      is_readmission: history.slice(0, index).some((other) => other.pool === pool),
    })),
    admission_count: request.admissions,
    readmission_count: Math.max(0, request.admissions - 1),
    terminal_status: request.outcome,
  };
}
