import { DynamoError } from '@dynamo/runtime';
import { float } from '@dynamo/runtime/internal';
import type { TokenChunk, TokenRequest } from '../request.ts';
import type { RouterSettings } from '../wire/router-settings.ts';

/** Annotation of a request whose prefill stays on its decode worker (spec kv-router 18). */
export const bypassAnnotation = 'x-bypass-remote-prefill';

/** A worker that was chosen for one half of a request; the rank is absent where the router does not know ranks. */
export interface Half {
  readonly workerId: bigint;
  readonly dpRank?: number;
}

/** Where a decode worker fetches the prefill's KV cache; goes into both requests. */
export interface Bootstrap {
  readonly host: string;
  readonly port: number;
  readonly room: bigint;
  readonly handoffId: Uint8Array;
}

/** What the prefill half of a request gave. */
export interface PrefillResult {
  readonly disaggregatedParams: unknown;
  readonly promptTokensDetails?: unknown;
}

/** The request without a bypass that its sender has no right to ask for. */
export function withoutBypass(request: TokenRequest): TokenRequest {
  if (request.annotations?.includes(bypassAnnotation) !== true) return request;
  return { ...request, annotations: request.annotations.filter((annotation) => annotation !== bypassAnnotation) };
}

/** The half that reads the prompt: one token, on the chosen prefill worker. */
export const prefillRequest = (request: TokenRequest, prefill: Half, bootstrap?: Bootstrap): TokenRequest => ({
  ...request,
  stop: { ...request.stop, maxTokens: 1 },
  routing: {
    ...request.routing,
    prefill_worker_id: prefill.workerId,
    ...(prefill.dpRank === undefined ? {} : { dp_rank: prefill.dpRank, prefill_dp_rank: prefill.dpRank }),
  },
  extra: { ...request.extra, router_config_override: null, ...bootstrapMember(bootstrap) },
});

/** The half that writes the answer. With a bootstrap it starts at once, else with what the prefill gave. */
export const decodeRequest = (
  request: TokenRequest,
  halves: { prefill: Half; decodeRank?: number },
  from: { bootstrap: Bootstrap; conditional?: boolean } | { result: PrefillResult; conditional?: boolean },
): TokenRequest => ({
  ...request,
  routing: {
    ...request.routing,
    prefill_worker_id: halves.prefill.workerId,
    ...(halves.decodeRank === undefined ? {} : { dp_rank: halves.decodeRank }),
    ...('bootstrap' in from && halves.prefill.dpRank !== undefined ? { prefill_dp_rank: halves.prefill.dpRank } : {}),
  },
  extra: {
    ...request.extra,
    router_config_override: decodeOverride(from.conditional === true),
    ...('bootstrap' in from
      ? bootstrapMember(from.bootstrap)
      : {
          prefill_result: {
            disaggregated_params: from.result.disaggregatedParams,
            ...(from.result.promptTokensDetails === undefined ? {} : { prompt_tokens_details: from.result.promptTokensDetails }),
          },
        }),
  },
});

/** The request that reads its prompt on its decode worker: no worker ids, only the rank. */
export const bypassRequest = (request: TokenRequest, decodeRank?: number): TokenRequest => ({
  ...request,
  annotations: [...(request.annotations ?? []), bypassAnnotation],
  routing: { ...request.routing, ...(decodeRank === undefined ? {} : { dp_rank: decodeRank }) },
  extra: { ...request.extra, router_config_override: null },
});

/** What a decode worker is told of routing: no credit for caches (unless a bypass may be chosen), no reuse, no prefill. */
const decodeOverride = (conditional: boolean): unknown => ({
  overlap_score_credit: conditional ? null : float(0),
  prefill_load_scale: null,
  router_temperature: null,
  assume_kv_reuse: false,
  track_prefill_tokens: false,
  shared_cache_multiplier: null,
});

const bootstrapMember = (bootstrap: Bootstrap | undefined): Record<string, unknown> =>
  bootstrap === undefined
    ? {}
    : {
        bootstrap_info: {
          bootstrap_host: bootstrap.host,
          bootstrap_port: bootstrap.port,
          bootstrap_room: bootstrap.room,
          handoff_id: bootstrap.handoffId,
        },
      };

/** A room for a hand-over: random below 2^63, and on the prefill's rank by its remainder. `random` gives 63 bits. */
export function bootstrapRoom(random: bigint, rank: { dpRank: number; dpSize: number }): bigint {
  const size = BigInt(Math.max(1, rank.dpSize));
  const room = (random & 0x7fff_ffff_ffff_ffffn) / size;
  const wanted = room * size + (BigInt(rank.dpRank) % size);
  return wanted > 0x7fff_ffff_ffff_ffffn ? wanted - size : wanted;
}

/** What comes of a prefill's first item: the answer itself, or what decode goes on with. */
export type PrefillOutcome = { readonly type: 'answer'; readonly chunk: TokenChunk } | ({ readonly type: 'decode' } & PrefillResult);

/**
 * Reads the first item of a prefill.
 *
 * @throws DynamoError `unknown` when it says nothing of the hand-over; there is no falling back to the decode worker.
 */
export function readPrefill(first: TokenChunk | undefined): PrefillOutcome {
  const params = first?.extra?.['disaggregated_params'];
  if (first === undefined || params === undefined || params === null) {
    throw new DynamoError('unknown', 'Prefill router output missing disaggregated_params');
  }
  if (first.finishReason !== undefined && first.finishReason !== 'length') {
    const { disaggregated_params: _, ...extra } = first.extra ?? {};
    return { type: 'answer', chunk: { ...first, extra } };
  }
  const details = first.usage?.promptTokensDetails;
  return {
    type: 'decode',
    disaggregatedParams: params,
    ...(details === undefined || details === null ? {} : { promptTokensDetails: detailsOf(details) }),
  };
}

/** Token counts with the two members that the real frontend writes, whatever the engine left out. */
const detailsOf = (details: object): unknown => ({ audio_tokens: null, cached_tokens: null, ...details });

/** What a decision about a bypass is made from. */
export interface BypassFacts {
  /** Tokens of the prompt. */
  readonly isl: number;
  /** Those that the chosen decode worker has cached. */
  readonly cachedTokens: number;
  /** Whether every prefill worker is busy beyond `conditionalPrefillBusy`. */
  readonly prefillBusy: boolean;
  /** Blocks that the chosen decode worker would carry, and how many it has. */
  readonly decode?: { readonly blocks: number; readonly totalBlocks: number };
}

/** Whether the prompt is read on the decode worker instead of a prefill worker (spec kv-router 18.5). */
export function bypassesPrefill(settings: RouterSettings, facts: BypassFacts): boolean {
  if (!settings.conditionalDisagg) return false;
  const { conditionalPolicy: policy, conditionalDecodeBusy: decodeBusy } = settings;
  if (decodeBusy !== undefined && facts.decode !== undefined && facts.decode.blocks > decodeBusy * facts.decode.totalBlocks) return false;
  const effective = facts.isl - facts.cachedTokens;
  const short = effective < settings.conditionalIslThreshold && effective / facts.isl < settings.conditionalIslRatio;
  if (policy === 'isl_bounding') return short;
  return facts.prefillBusy || (policy === 'isl_or_load' && short);
}

const configMembers: Readonly<Record<string, keyof RouterSettings>> = {
  policy: 'conditionalPolicy',
  eff_isl_threshold: 'conditionalIslThreshold',
  eff_isl_ratio_threshold: 'conditionalIslRatio',
  prefill_busy_threshold: 'conditionalPrefillBusy',
  decode_busy_threshold: 'conditionalDecodeBusy',
};

/**
 * Reads the object of `--router-conditional-disagg-config` and checks it as the real frontend does at its start.
 *
 * @throws DynamoError `invalid_argument` in the words of the real frontend.
 */
export function readConditionalConfig(config: unknown, router: { kvEvents: boolean; queueThreshold?: number }): Partial<RouterSettings> {
  const flag = '--router-conditional-disagg-config';
  const fail = (message: string): never => {
    throw new DynamoError('invalid_argument', message);
  };
  if (typeof config !== 'object' || config === null || Array.isArray(config)) return fail(`${flag} must be a JSON object`);
  const given = config as Readonly<Record<string, unknown>>;
  const unknown = Object.keys(given).filter((name) => configMembers[name] === undefined);
  if (unknown.length > 0) fail(`${flag} has unknown field(s): ${unknown.toSorted().join(', ')}`);
  const { policy = 'isl_bounding', eff_isl_threshold: threshold, eff_isl_ratio_threshold: ratio } = given;
  if (typeof policy !== 'string') fail(`${flag} policy must be a string`);
  if (threshold !== undefined && !Number.isInteger(threshold)) fail(`${flag} eff_isl_threshold must be an integer`);
  if (ratio !== undefined && typeof ratio !== 'number') fail(`${flag} eff_isl_ratio_threshold must be a number`);
  for (const name of ['prefill_busy_threshold', 'decode_busy_threshold']) {
    if (given[name] !== undefined && given[name] !== null && typeof given[name] !== 'number') fail(`${flag} ${name} must be a number`);
  }
  if (policy !== 'isl_bounding' && policy !== 'prefill_load' && policy !== 'isl_or_load') {
    fail(`${flag} policy must be one of 'isl_bounding', 'prefill_load', 'isl_or_load'`);
  }
  if (typeof threshold === 'number' && threshold < 0) fail(`${flag} eff_isl_threshold must be >= 0`);
  if (typeof ratio === 'number' && !(ratio >= 0 && ratio <= 1)) fail(`${flag} eff_isl_ratio_threshold must be in [0.0, 1.0]`);
  for (const name of ['prefill_busy_threshold', 'decode_busy_threshold']) {
    if (typeof given[name] === 'number' && given[name] < 0) fail(`${flag} ${name} must be >= 0`);
  }
  if (!router.kvEvents) fail('--router-conditional-disagg requires --router-kv-events');
  if (policy !== 'isl_bounding' && typeof given['prefill_busy_threshold'] !== 'number' && router.queueThreshold === undefined) {
    fail(
      `conditional_disagg policy='${String(policy)}' needs prefill_busy_threshold, but neither prefill_busy_threshold nor --router-queue-threshold is set`,
    );
  }
  const pairs = Object.entries(given).filter(([, value]) => value !== null && value !== undefined);
  return Object.fromEntries(pairs.map(([name, value]) => [configMembers[name], value])) as Partial<RouterSettings>;
}
