import type { Counter, Gauge, Histogram, Metrics } from '@dynamo/metrics';
import { labelValue } from '@dynamo/metrics/internal';
import type { DistributedRuntime } from '@dynamo/runtime';
import { type EndpointName, metricsBeside } from '@dynamo/runtime/internal';
import type { RouterRole } from '../options.ts';

/** Whose decisions are counted. */
export interface CountedRouter {
  readonly name: EndpointName;
  readonly model: string;
  readonly role: RouterRole;
}

/** Bounds of the real router's histograms (spec kv-router 9, spec metrics 6). */
const buckets = {
  hashing: Array.from({ length: 15 }, (_, index) => 2 ** index / 1_000),
  overhead: [
    0.01, 0.03, 0.09, 0.27, 0.81, 2.43, 7.290000000000001, 21.870000000000005, 65.61000000000001, 196.83000000000004, 590.4900000000001,
    1771.4700000000003, 5314.410000000001, 15943.230000000003, 47829.69000000001, 143489.07000000004, 430467.2100000001,
  ],
  inputTokens: [0, 100, 210, 430, 870, 1800, 3600, 7400, 15_000, 31_000, 63_000, 130_000],
  outputTokens: [0, 100, 210, 430, 880, 1800, 3700, 7600, 16_000, 32_000],
  firstToken: [0, 0.0022, 0.0047, 0.01, 0.022, 0.047, 0.1, 0.22, 0.47, 1, 2.2, 4.7, 10, 22, 48, 100, 220, 480],
  interToken: [0, 0.0019, 0.0035, 0.0067, 0.013, 0.024, 0.045, 0.084, 0.16, 0.3, 0.56, 1.1, 2],
  transfer: [0, 0.0019, 0.0037, 0.0072, 0.014, 0.027, 0.052, 0.1, 0.19, 0.37, 0.72, 1.4, 2.7, 5.2, 10],
  share: [
    0, 0.05, 0.1, 0.15000000000000002, 0.2, 0.25, 0.30000000000000004, 0.35000000000000003, 0.4, 0.45, 0.5, 0.55, 0.6000000000000001, 0.65,
    0.7000000000000001, 0.75, 0.8, 0.8500000000000001, 0.9, 0.9500000000000001, 1,
  ],
  lostBlocks: Array.from({ length: 16 }, (_, index) => 2 ** (index - 2)),
  sharedBlocks: Array.from({ length: 12 }, (_, index) => 2 ** index),
} as const;

/** Kinds of events and what becomes of them, as the real index names them; those that ours never meets stay at 0. */
export const eventTypes = ['cleared', 'removed', 'stored'] as const;
export const eventStatuses = [
  'allocation_failed',
  'block_not_found',
  'capacity_exhausted',
  'indexer_invariant_violation',
  'invalid_block',
  'ok',
  'ownership_degree_overflow',
  'parent_block_not_found',
  'unsupported_residency_domain',
] as const;

/** What one class of requests counts. */
export interface ClassFamilies {
  readonly received: Counter;
  readonly refused: Readonly<Record<'requests' | 'raw_isl_tokens' | 'cached_tokens', Counter>>;
  readonly pending: Readonly<Record<'requests' | 'islTokens' | 'cachedTokens', Gauge>>;
}

/** The families of one rank of a worker, as the frontend shows them. */
export interface RankFamilies {
  readonly registered: Gauge;
  readonly decodeBlocks: Gauge;
  readonly prefillTokens: Gauge;
  readonly lastInput: Gauge;
  readonly lastFirstToken: Gauge;
  readonly lastInterToken: Gauge;
}

/** Every family of a router, bound to what does not change while it runs. */
export interface RouterFamilies {
  /** The node of the workers' component. */
  readonly component: Metrics;
  readonly frontend: Metrics;
  readonly overhead: Readonly<Record<'hashing' | 'find' | 'scheduling' | 'total', Histogram>>;
  readonly started: Counter;
  readonly ended: Counter;
  readonly inputTokens: Histogram;
  readonly outputTokens: Histogram;
  readonly firstToken: Histogram;
  readonly interToken: Histogram;
  readonly hitRate: Histogram;
  readonly selectedTokens: Counter;
  readonly bestTokens: Counter;
  readonly reusedTokens: Counter;
  readonly notBest: Counter;
  readonly blocksLost: Histogram;
  readonly malformed: Counter;
  readonly withoutSource: Gauge;
  readonly sources: Readonly<Record<'active' | 'preconnected', Gauge>>;
  readonly batches: Counter;
  readonly applied: (type: (typeof eventTypes)[number], status: (typeof eventStatuses)[number]) => Counter;
  readonly replicaEvents: Counter;
  readonly replicaMessages: Counter;
  readonly replicaUnreadable: Counter;
  /** Ours alone: how full the index is, what it let go, and what it missed. */
  readonly index: Readonly<Record<'blocks' | 'lowerBlocks' | 'bytes' | 'nodes', Gauge>>;
  readonly evicted: Counter;
  readonly storesRefused: Counter;
  readonly gaps: Counter;
  readonly degraded: Gauge;
  readonly recovering: Gauge;
  readonly recoveries: Readonly<Record<'dump' | 'events' | 'nothing' | 'failed', Counter>>;
  readonly ofClass: (policy: string) => ClassFamilies;
  readonly ofRank: (workerId: bigint, dpRank: number) => RankFamilies;
}

/** How the real router calls workers of a role in its labels: those that do all of a request are of the decoding kind. */
export const workerType = (role: RouterRole): 'decode' | 'prefill' => (role === 'prefill' ? 'prefill' : 'decode');

/** Makes a router's families under the names of the real one (spec metrics 6), in the metrics of its runtime. */
export function openFamilies(runtime: DistributedRuntime, { name, model, role }: CountedRouter): RouterFamilies {
  const component = runtime.metrics.child({ dynamo_namespace: labelValue(name.namespace), dynamo_component: labelValue(name.component) });
  const frontend = metricsBeside(runtime, 'dynamo_frontend');
  const router = { router_id: String(runtime.discovery.instanceId) };
  const part = { model, phase: role, ...router };
  const own = { model };
  const counter = (what: string, help: string, labels: Record<string, string>): Counter => component.counter(what, help, { labels });
  const gauge = (what: string, help: string, labels: Record<string, string>): Gauge => component.gauge(what, help, { labels });
  const histogram = (what: string, help: string, bounds: readonly number[], labels: Record<string, string> = router): Histogram =>
    component.histogram(what, help, { buckets: bounds, labels });
  const prefill = { ...router, worker_type: 'prefill' };
  const applied = component.counter('kv_cache_events_applied', 'Total number of KV cache events applied to index', {
    labelNames: ['event_type', 'status'],
  });
  for (const event_type of eventTypes) for (const status of eventStatuses) applied.with({ event_type, status });
  const sources = component.gauge('router_kv_zmq_ingress_sources', 'Number of ZMQ KV ingress sources by lifecycle state', { labelNames: ['state'] });
  const recoveries = component.counter('router_kv_recoveries_total', "Answers to questions about a worker's events that were missed, by kind", {
    labelNames: ['answer'],
    labels: own,
  });
  const ingress = { ...own, routing_group: 'default', worker_type: workerType(role) };
  // Nothing is shared between caches yet: there for dashboards.
  histogram('router_shared_cache_beyond_blocks', 'Shared cache blocks beyond device overlap for the selected worker', buckets.sharedBlocks);
  histogram('router_shared_cache_hit_rate', 'Fraction of request blocks found in the shared KV cache (0.0-1.0)', buckets.share);
  histogram(
    'router_kv_transfer_estimated_latency_seconds',
    'Upper-bound estimation of KV cache transfer latency in disaggregated serving (prefill_complete to first_token)',
    buckets.transfer,
  );
  return {
    component,
    frontend,
    overhead: overheadOf(runtime, router),
    started: counter('router_requests_started_total', 'Total number of requests admitted by the router scheduler', router),
    ended: counter('router_requests_total', 'Total number of requests processed by the router', router),
    inputTokens: histogram('router_input_sequence_tokens', 'Input sequence length in tokens observed at the router', buckets.inputTokens, part),
    outputTokens: histogram('router_output_sequence_tokens', 'Output sequence length in tokens observed at the router', buckets.outputTokens),
    firstToken: histogram('router_time_to_first_token_seconds', 'Time to first token observed at the router', buckets.firstToken),
    interToken: histogram('router_inter_token_latency_seconds', 'Average inter-token latency observed at the router', buckets.interToken),
    hitRate: histogram('router_kv_hit_rate', 'Predicted KV cache hit rate at routing time (0.0-1.0)', buckets.share),
    selectedTokens: counter('router_kv_selected_cached_prefix_tokens_total', 'Raw cached prefix tokens on the selected worker and DP rank', part),
    bestTokens: counter(
      'router_kv_best_eligible_cached_prefix_tokens_total',
      'Raw cached prefix tokens on the best eligible worker at selection time',
      part,
    ),
    reusedTokens: counter('router_kv_worker_reused_tokens_total', 'Worker-reported reused tokens per routing attempt', part),
    notBest: counter(
      'router_non_max_overlap_selections_total',
      'Total admitted prefill scheduler selections with less KV cache overlap than another eligible worker',
      prefill,
    ),
    blocksLost: histogram(
      'router_overlap_blocks_lost',
      'Difference in effective KV cache overlap between the highest-overlap eligible prefill worker and selected worker',
      buckets.lostBlocks,
      prefill,
    ),
    malformed: counter('kv_cache_event_warnings', 'Total number of suspicious KV cache events seen by the router indexer', {
      warning_kind: 'malformed',
    }),
    withoutSource: gauge(
      'router_kv_event_source_mismatch_workers',
      'Number of serving workers with missing or ambiguous KV sources, explicitly disabled KV event publishing, or without an expected RecoveryTarget',
      { ...own, target_namespace: name.namespace, target_component: name.component, target_endpoint: name.endpoint, worker_type: workerType(role) },
    ),
    sources: { active: sources.with({ state: 'active' }), preconnected: sources.with({ state: 'preconnected' }) },
    batches: counter('router_kv_zmq_ingress_batches_total', 'Total ZMQ KV ingress batches handed to WorkerQueryClient', {}),
    applied: (event_type, status) => applied.with({ event_type, status }),
    replicaEvents: counter(
      'router_active_sequence_ingress_events_applied_total',
      "Active-sequence events applied from the partition's inbound channel",
      ingress,
    ),
    replicaMessages: counter(
      'router_active_sequence_ingress_drain_batches_total',
      "Drain batches applied from the partition's inbound channel",
      ingress,
    ),
    replicaUnreadable: counter(
      'router_active_sequence_zmq_ingress_payload_decode_errors_total',
      'Direct-ZMQ active-sequence payload decode errors',
      {},
    ),
    index: {
      blocks: gauge('router_index_blocks', 'Blocks by worker that the device index holds', own),
      lowerBlocks: gauge('router_index_lower_tier_blocks', 'Blocks by worker that the indexes of the lower tiers hold', own),
      bytes: gauge('router_index_bytes', 'Memory that the index holds, in bytes', own),
      nodes: gauge('router_index_nodes', 'Nodes of the index', own),
    },
    evicted: counter('router_index_evicted_blocks_total', 'Blocks by worker that the index let go to stay within its cap', own),
    storesRefused: counter('router_index_refused_stores_total', 'Stores that the index had no memory for', own),
    gaps: counter('router_kv_event_gaps_total', 'How often events of a worker were found missing', own),
    degraded: gauge('router_kv_sources_degraded', 'Publishers whose missed events could not be recovered', own),
    recovering: gauge('router_kv_sources_recovering', 'Publishers whose missed events are being asked for', own),
    recoveries: {
      dump: recoveries.with({ answer: 'dump' }),
      events: recoveries.with({ answer: 'events' }),
      nothing: recoveries.with({ answer: 'nothing' }),
      failed: recoveries.with({ answer: 'failed' }),
    },
    ofClass: (policy) => classOf(frontend, { model, policy_class: policy, worker_type: workerType(role) }),
    ofRank: (workerId, dpRank) => rankOf({ component, frontend }, { workerId: String(workerId), dpRank: String(dpRank), role: workerType(role) }),
  };
}

function overheadOf(runtime: DistributedRuntime, labels: Record<string, string>): RouterFamilies['overhead'] {
  const metrics = metricsBeside(runtime, 'dynamo_router');
  const of = (name: string, help: string, bounds: readonly number[] = buckets.overhead): Histogram =>
    metrics.histogram(`overhead_${name}_ms`, `${help} in milliseconds`, { buckets: bounds, labels });
  // One call hashes blocks and sequence: its time stands under the blocks.
  of('seq_hashing', 'Time spent computing sequence hashes', buckets.hashing);
  of('shared_cache_query', 'Time spent querying the shared KV cache');
  metrics.counter('shared_cache_errors_total', 'Total shared cache failures', { labels });
  return {
    hashing: of('block_hashing', 'Time spent computing block hashes', buckets.hashing),
    find: of('indexer_find_matches', 'Time spent in indexer find_matches'),
    scheduling: of('scheduling', 'Time spent in scheduler worker selection'),
    total: of('total', 'Total routing overhead per request'),
  };
}

function classOf(metrics: Metrics, labels: Record<string, string>): ClassFamilies {
  const rejected = metrics.counter('router_admission_rejected_total', 'Total router admission rejections by deadline reason', {
    labelNames: ['reason'],
    labels,
  });
  for (const reason of ['due_time_passed', 'predicted_miss']) rejected.with({ reason });
  const refused = metrics.counter('router_queue_backpressure_total', 'Total number of router scheduler queue backpressure rejections', {
    labelNames: ['reason'],
    labels,
  });
  const pending = (name: string, help: string): Gauge => metrics.gauge(`router_queue_pending_${name}`, help, { labels });
  return {
    received: metrics.counter(
      'router_admission_received_total',
      'Total attempts received by router admission; includes retries and excludes advisory probes',
      {
        labels,
      },
    ),
    refused: {
      requests: refused.with({ reason: 'request_limit' }),
      raw_isl_tokens: refused.with({ reason: 'raw_isl_token_limit' }),
      cached_tokens: refused.with({ reason: 'cached_token_limit' }),
    },
    pending: {
      requests: pending('requests', 'Number of requests pending in the router scheduler queue'),
      islTokens: pending('isl_tokens', 'Sum of isl_tokens for requests pending in the router scheduler queue'),
      cachedTokens: pending('cached_tokens', 'Estimated cached tokens for requests pending in the router scheduler queue'),
    },
  };
}

function rankOf(to: { component: Metrics; frontend: Metrics }, of: { workerId: string; dpRank: string; role: string }): RankFamilies {
  const labels = { dp_rank: of.dpRank, worker_id: of.workerId, worker_type: of.role };
  const gauge = (name: string, help: string): Gauge => to.frontend.gauge(`worker_${name}`, help, { labels });
  return {
    registered: to.component.gauge('router_worker_registered', 'Whether the router currently has this worker/dp_rank registered (1 = registered)', {
      labels: { dp_rank: of.dpRank, router_worker_id: of.workerId, worker_type: of.role },
    }),
    decodeBlocks: gauge('active_decode_blocks', 'Active KV cache decode blocks per worker'),
    prefillTokens: gauge('active_prefill_tokens', 'Active prefill tokens queued per worker'),
    lastInput: gauge('last_input_sequence_tokens', 'Last observed input sequence tokens per worker'),
    lastFirstToken: gauge('last_time_to_first_token_seconds', 'Last observed time to first token per worker (seconds)'),
    lastInterToken: gauge('last_inter_token_latency_seconds', 'Last observed inter-token latency per worker (seconds)'),
  };
}
