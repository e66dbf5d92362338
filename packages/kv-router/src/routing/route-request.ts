import { DynamoError, type InstanceId } from '@dynamo/runtime';
import { type BoundCall, Float } from '@dynamo/runtime/internal';
import type { PromptHasher, PromptHashes } from '../hash/block-hash.ts';
import type { RouterRole } from '../options.ts';
import type { KvRoute } from './kv-route.ts';
import type { TokenRequest } from '../request.ts';
import type { Constraints } from '../select/eligibility.ts';
import { object } from '../wire/members.ts';
import { u32, u64 } from '../wire/kv-event.ts';
import { readOverride, type RouterOverride } from '../wire/read-settings.ts';

/** What a request says to the router, read once from its wire members (spec kv-router 18, routing hints). */
export interface RoutingHints {
  readonly loraName?: string;
  readonly salt?: string;
  readonly constraints?: Constraints;
  readonly expectedOutputTokens?: number;
  readonly priorityJump?: number;
  readonly strictPriority?: number;
  readonly policyClass?: string;
  readonly override?: { readonly assumeKvReuse?: boolean; readonly trackPrefillTokens?: boolean };
}

/** A call with what the router alone reads: the worker that is to take it, and those that are not to. */
export interface RoutedCall extends BoundCall {
  readonly pinned?: InstanceId;
  readonly excluded?: ReadonlySet<InstanceId>;
  /** Told where it goes. */
  readonly routed?: (route: KvRoute) => void;
}

/** What reading a request needs to know of the router and its workers. */
export interface HintReader {
  readonly role: RouterRole;
  /** Whether a worker has such a rank; a wish for one that it has not counts as none (spec llm 2.1). */
  readonly hasRank: (workerId: bigint, dpRank: number) => boolean;
}

/**
 * Reads a request's hints.
 *
 * @throws DynamoError `invalid_argument` naming the member that is wrong.
 */
export function readHints(request: TokenRequest, call: RoutedCall, reader: HintReader): RoutingHints {
  const routing = request.routing ?? {};
  const constraints = readConstraints(routing, call, reader);
  const override = request.extra?.['router_config_override'];
  const text = (name: string): string | undefined => (typeof routing[name] === 'string' && routing[name] !== '' ? routing[name] : undefined);
  const count = (name: string): number | undefined => plainNumber(routing[name]);
  return defined({
    loraName: text('lora_name'),
    salt: text('cache_salt'),
    constraints,
    expectedOutputTokens: count('expected_output_tokens'),
    priorityJump: count('priority_jump'),
    strictPriority: count('strict_priority'),
    policyClass: call.metadata?.['policy-class'],
    override: override === undefined || override === null ? undefined : heeded(readOverride(override)),
  });
}

function readConstraints(routing: Readonly<Record<string, unknown>>, call: RoutedCall, { role, hasRank }: HintReader): Constraints | undefined {
  // A worker that is asked for to write the answer says nothing of who is to read the prompt.
  const worker =
    call.pinned ??
    call.instance ??
    (role === 'prefill' ? routing['prefill_worker_id'] : (routing['decode_worker_id'] ?? routing['backend_instance_id']));
  const rank = call.rank ?? routing[role === 'prefill' ? 'prefill_dp_rank' : 'dp_rank'] ?? routing['dp_rank'];
  const allowed = routing['allowed_worker_ids'];
  const taints = object(routing['routing_constraints']);
  if (worker === undefined && allowed === undefined && taints === undefined && call.excluded === undefined) return undefined;
  const required = taints?.['required_taints'];
  const preferred = object(taints?.['preferred_taints']);
  return defined({
    pinned: worker === undefined || worker === null ? undefined : pinOf(id(worker, 'worker id'), rank, hasRank),
    excluded: call.excluded,
    allowed: Array.isArray(allowed) ? allowed.map((one) => id(one, 'allowed_worker_ids')) : undefined,
    requiredTaints: Array.isArray(required) ? required.map(String) : undefined,
    preferredTaints:
      preferred === undefined ? undefined : Object.fromEntries(Object.entries(preferred).map(([name, weight]) => [name, plainNumber(weight) ?? 0])),
  });
}

function pinOf(workerId: bigint, rank: unknown, hasRank: HintReader['hasRank']): NonNullable<Constraints['pinned']> {
  const dpRank = rank === undefined || rank === null ? undefined : u32(rank, 'dp_rank');
  return dpRank === undefined || !hasRank(workerId, dpRank) ? { workerId } : { workerId, dpRank };
}

const id = (value: unknown, name: string): bigint => {
  try {
    return u64(value, name);
  } catch (cause) {
    throw new DynamoError('invalid_argument', `${name} must be a 64-bit integer`, { cause });
  }
};

/** Only these two members have an effect in 1.6.1; the others are checked and that is all (spec kv-router 8). */
const heeded = ({ assumeKvReuse, trackPrefillTokens }: RouterOverride): RoutingHints['override'] => defined({ assumeKvReuse, trackPrefillTokens });

/** A number as it is, or one that a frontend has marked for the codecs. */
function plainNumber(value: unknown): number | undefined {
  const plain = value instanceof Float ? value.value : value;
  return typeof plain === 'number' ? plain : undefined;
}

/** Members that are set: an absent one and one that is undefined are not the same to those who spread them. */
function defined<T extends object>(members: T): { [name in keyof T]: Exclude<T[name], undefined> } {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)) as { [name in keyof T]: Exclude<T[name], undefined> };
}

/** Hashes a request's prompt as the workers' caches do. */
export function hashRequest(
  hasher: PromptHasher,
  request: TokenRequest,
  options: { blockSize: number; eagle: boolean; hints: RoutingHints },
): PromptHashes {
  const { blockSize, eagle, hints } = options;
  const info = object(request.extra?.['mm_routing_info']);
  const routed = info?.['routing_token_ids'];
  const tokens = Array.isArray(routed) && routed.length > 0 ? (routed as number[]) : request.tokenIds;
  const media = readMedia(info?.['block_mm_infos']);
  return hasher.hashes(tokens, { blockSize, eagle, lora: hints.loraName, salt: hints.salt, ...(media === undefined ? {} : { media }) });
}

/** Per block the hashes of its media objects, as the request carries them. */
function readMedia(infos: unknown): (readonly bigint[] | null)[] | undefined {
  if (!Array.isArray(infos)) return undefined;
  return infos.map((info) => {
    const objects = object(info)?.['mm_objects'];
    return Array.isArray(objects) ? objects.map((one) => u64(object(one)?.['mm_hash'], 'mm_hash')) : null;
  });
}
