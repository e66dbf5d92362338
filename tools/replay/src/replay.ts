import { type MockLaunch, readMockLaunch } from '@dynamo/internal';
import type { KvRouterOptions } from '@dynamo/kv-router';
import { loadPolicyFile } from '@dynamo/kv-router/internal';
import { DynamoError } from '@dynamo/runtime';
import type { Sla, Tally } from './metrics/tally.ts';
import type { PlacementName } from './placement/index.ts';
import type { SimRequest } from './sim-request.ts';
import { Simulation } from './simulation.ts';
import { openMooncake } from './trace/mooncake.ts';
import { chance, synthetic, type SyntheticOptions } from './trace/synthetic.ts';
import type { Workload } from './trace/turn.ts';
import { requestRecord, summaryOf, type WireReport } from './wire/report.ts';

/** One replay: everything in it is plain data, so that it can travel to a thread. */
export interface ReplayOptions {
  /** Mooncake files, one after the other; or a made-up workload. */
  readonly trace?: readonly string[];
  readonly synthetic?: SyntheticOptions;
  /** Tokens that one id of the trace stands for; default 512. */
  readonly traceBlockSize?: number | undefined;
  /** Engine configuration under the real names (spec mocker 1), of all workers or of each pool. */
  readonly engine?: unknown;
  readonly prefillEngine?: unknown;
  readonly decodeEngine?: unknown;
  readonly workers?: number | undefined;
  readonly prefillWorkers?: number | undefined;
  readonly decodeWorkers?: number | undefined;
  readonly placement?: PlacementName | undefined;
  readonly router?: Omit<KvRouterOptions, 'blockSize'> | undefined;
  readonly eventLagMs?: number | undefined;
  /** Keeps this many sessions running and ignores when they arrive. */
  readonly concurrency?: number | undefined;
  readonly arrivalSpeedup?: number | undefined;
  readonly sla?: Sla | undefined;
  readonly untilMs?: number | undefined;
  /** Whether to count too what a cache without limits would have had, for the page. */
  readonly achievable?: boolean | undefined;
  /** Whether single requests are reported too. */
  readonly perRequest?: boolean | undefined;
  /** Where the router's chance begins; anew each time without it. */
  readonly seed?: number | undefined;
}

/** What a replay came to. */
export interface ReplayResult {
  readonly report: WireReport;
  readonly tally: Tally;
  readonly ranks: number;
  readonly blocks: number;
}

/**
 * Replays a workload without a network, on a clock of its own.
 *
 * @throws DynamoError `invalid_argument` for options, traces and configurations that can't be, in the words of the real replay.
 */
export async function replayOffline(
  options: ReplayOptions,
  hooks: {
    readonly onEnded?: (done: number, total: number | undefined) => void;
    readonly onRecord?: (record: Readonly<Record<string, unknown>>) => void;
  } = {},
): Promise<ReplayResult> {
  check(options);
  const { decode, prefill } = await launches(options);
  const router = await routerOf(options);
  const workload = await workloadOf(options);
  const [workers, prefillWorkers] = prefill === undefined ? [options.workers ?? 1, 0] : [options.decodeWorkers ?? 1, options.prefillWorkers ?? 1];
  const records: Readonly<Record<string, unknown>>[] = [];
  const keeps = options.perRequest === true;
  let done = 0;
  let sessions = false;
  const ended: SimRequest[] = [];
  const simulation = new Simulation(workload, {
    pool: { engine: decode.engine, workers, ranks: decode.ranks },
    prefill: prefill === undefined ? undefined : { engine: prefill.engine, workers: prefillWorkers, ranks: prefill.ranks },
    transfer: prefill === undefined ? undefined : { msPerToken: prefill.transferMsPerToken, missingOnly: prefill.transferMissingOnly },
    placement: options.placement ?? 'round-robin',
    kv: { router, eventLagMs: options.eventLagMs ?? 0 },
    concurrency: options.concurrency,
    sla: options.sla,
    untilMs: options.untilMs,
    achievable: options.achievable,
    notes: keeps || hooks.onRecord !== undefined,
    random: options.seed === undefined ? undefined : chance(options.seed),
    onEnded: (request) => {
      done++;
      sessions ||= request.turn.session !== undefined;
      if (keeps) ended.push(request);
      hooks.onRecord?.(requestRecord(request, request.turn.session !== undefined));
      hooks.onEnded?.(done, workload.total);
    },
  });
  const began = performance.now();
  const tally = await simulation.run();
  const wallMs = performance.now() - began;
  for (const request of ended) records.push(requestRecord(request, sessions));
  const summary = summaryOf(tally, { wallMs, prefillWorkers, decodeWorkers: workers, gpus: decode.ranks });
  return {
    report: {
      summary,
      per_request: keeps ? records : null,
      coverage: { capture_per_request: keeps, capture_planner_details: false, per_request_records: records.length },
      planner: null,
    },
    tally,
    ranks: workers * decode.ranks + prefillWorkers * (prefill?.ranks ?? 0),
    blocks: decode.engine.blocks ?? 0,
  };
}

const wrong = (message: string): never => {
  throw new DynamoError('invalid_argument', message);
};

/** The checks of the real replay, in its words. */
function check(options: ReplayOptions): void {
  const { sla = {}, concurrency, workers = 1, eventLagMs, placement, arrivalSpeedup = 1 } = options;
  if ((options.trace === undefined) === (options.synthetic === undefined)) wrong('a replay needs a trace or a synthetic workload, one of the two');
  if (workers < 1) wrong('invalid replay spec: aggregated pool must start with at least one worker');
  for (const [pool, count] of Object.entries({ prefill: options.prefillWorkers, decode: options.decodeWorkers }))
    if (count !== undefined && count < 1) wrong(`invalid replay spec: ${pool} pool must start with at least one worker`);
  if (concurrency !== undefined && concurrency < 1) wrong('replay_concurrency must be at least 1');
  if (!(arrivalSpeedup > 0 && arrivalSpeedup < Infinity)) wrong(`ratio must be a finite positive number, got ${arrivalSpeedup}`);
  for (const [name, limit] of Object.entries({ sla_ttft_ms: sla.ttftMs, sla_itl_ms: sla.itlMs, sla_e2e_ms: sla.e2eMs }))
    if (limit !== undefined && !(limit >= 0 && limit < Infinity)) wrong(`${name} must be a finite, non-negative value, got ${limit}`);
  if (sla.e2eMs !== undefined && (sla.ttftMs !== undefined || sla.itlMs !== undefined))
    wrong('invalid replay spec: sla.e2e_ms is mutually exclusive with sla.ttft_ms/itl_ms');
  if (eventLagMs !== undefined && !(eventLagMs >= 0 && eventLagMs < Infinity))
    wrong(`kv_event_lag_ms must be finite and non-negative, got ${eventLagMs}`);
  if (eventLagMs !== undefined && eventLagMs > 0 && placement !== 'kv') wrong("kv_event_lag_ms only supports router_mode='kv_router'");
}

/** The router's options, with the policy file that they name. */
async function routerOf({ router = {} }: ReplayOptions): Promise<Omit<KvRouterOptions, 'blockSize'>> {
  const file = router.policies === undefined ? router.settings?.policyConfig : undefined;
  return file === undefined ? router : { ...router, policies: await loadPolicyFile(file) };
}

async function launches({ engine, prefillEngine, decodeEngine }: ReplayOptions): Promise<{ decode: MockLaunch; prefill: MockLaunch | undefined }> {
  if (prefillEngine === undefined && decodeEngine === undefined) return { decode: await readMockLaunch(engine ?? {}), prefill: undefined };
  if (engine !== undefined) return wrong('extra_engine_args cannot be combined with prefill_engine_args/decode_engine_args');
  if (prefillEngine === undefined || decodeEngine === undefined) return wrong('prefill_engine_args and decode_engine_args must be given together');
  const [prefill, decode] = [await readMockLaunch(prefillEngine), await readMockLaunch(decodeEngine)];
  if (prefill.engine.role !== 'prefill') wrong('prefill_engine_args must have worker_type prefill');
  if (decode.engine.role !== 'decode') wrong('decode_engine_args must have worker_type decode');
  if (prefill.engine.blockSize !== decode.engine.blockSize) wrong('prefill and decode engines must have the same block_size');
  return { decode, prefill };
}

/** The workload that options name. */
export async function workloadOf(options: ReplayOptions): Promise<Workload> {
  if (options.synthetic !== undefined) return synthetic(options.synthetic);
  return openMooncake(options.trace ?? [], {
    ...(options.traceBlockSize === undefined ? {} : { blockSize: options.traceBlockSize }),
    ...(options.arrivalSpeedup === undefined ? {} : { speedup: options.arrivalSpeedup }),
    timed: options.concurrency === undefined,
  });
}
