import { decodeJson, encodeJsonText } from '@dynamo/runtime/internal';
import type { Constraints } from '../select/eligibility.ts';
import type { WorkerConfig } from '../workers/worker-config.ts';
import { eventFromWire, type RouterEvent, toWire, u32, u64, wrong } from './kv-event.ts';
import { object, type Wire } from './members.ts';
import type { RouterSettings } from './router-settings.ts';

/** What a recording begins with: how the router decides. */
export interface RecordedRouter {
  readonly blockSize: number;
  readonly index: 'events' | 'approximate' | 'none';
  readonly role: 'aggregated' | 'decode' | 'prefill';
  /** Name of the selector; one of the user's own can't be run again without it. */
  readonly selector: string;
  readonly settings: RouterSettings;
  readonly overload: Readonly<Record<string, number>>;
}

/** A request that was placed, and where: hashes and numbers, never text. */
export interface RecordedDecision {
  readonly id: string;
  readonly isl: number;
  /** Local hashes of the complete blocks; the sequence hashes follow from them. */
  readonly local: BigUint64Array;
  readonly constraints?: Constraints;
  readonly override?: { readonly assumeKvReuse?: boolean; readonly trackPrefillTokens?: boolean };
  readonly expectedOutputTokens?: number;
  readonly workerId: bigint;
  readonly dpRank: number;
  readonly cost: number;
  readonly overlapBlocks: number;
  readonly cachedTokens: number;
  /** State of the generator of draws before the decision. */
  readonly random: number;
  /** Ranks whose events were not believed, and the blocks that counted in their place. */
  readonly adjusted?: readonly (readonly [workerId: bigint, dpRank: number, device: number])[];
}

/** One line of a recording. `event` is the form of spec kv-router 21; all others are ours. */
export type RecordedEntry =
  | { readonly kind: 'router'; readonly router: RecordedRouter }
  | { readonly kind: 'worker'; readonly workerId: bigint; readonly config: WorkerConfig }
  | { readonly kind: 'gone'; readonly workerId: bigint }
  | { readonly kind: 'available'; readonly workerId: bigint; readonly available: boolean }
  | { readonly kind: 'event'; readonly event: RouterEvent }
  | { readonly kind: 'reset'; readonly workerId: bigint; readonly dpRank: number }
  | { readonly kind: 'decision'; readonly decision: RecordedDecision }
  | { readonly kind: 'read'; readonly id: string }
  | { readonly kind: 'output'; readonly id: string; readonly decay: number | undefined }
  | { readonly kind: 'freed'; readonly id: string; readonly outputTokens: number; readonly cachedTokens: number | undefined }
  /** A message of a topic that changes loads. */
  | { readonly kind: 'heard'; readonly topic: string; readonly payload: Uint8Array }
  /** A frame of another router's state that was taken over. */
  | { readonly kind: 'state'; readonly frame: Uint8Array }
  /** Requests that nobody ended were let go. */
  | { readonly kind: 'expired' }
  /** Lines that were left out, since the disk was slower than the router. */
  | { readonly kind: 'lost'; readonly lines: number };

/** Writes one line, with the milliseconds since the recording began. */
export const encodeRecorded = (timestamp: number, entry: RecordedEntry): string => encodeJsonText({ timestamp, ...bodyOf(entry) });

function bodyOf(entry: RecordedEntry): Wire {
  switch (entry.kind) {
    case 'router': {
      const { blockSize, ...router } = entry.router;
      return { router: { block_size: blockSize, ...router } };
    }
    case 'worker': {
      const { taints, ...config } = entry.config;
      return { worker: { worker_id: entry.workerId, config: { ...config, taints: [...taints] } } };
    }
    case 'gone':
      return { gone: { worker_id: entry.workerId } };
    case 'available':
      return { available: { worker_id: entry.workerId, available: entry.available } };
    case 'event':
      return { event: toWire(entry.event) };
    case 'reset':
      return { reset: { worker_id: entry.workerId, dp_rank: entry.dpRank } };
    case 'decision':
      return { decision: decisionToWire(entry.decision) };
    case 'read':
      return { read: { id: entry.id } };
    case 'output':
      return { output: { id: entry.id, ...(entry.decay === undefined ? {} : { decay: entry.decay }) } };
    case 'freed':
      return { freed: { id: entry.id, output_tokens: entry.outputTokens, cached_tokens: entry.cachedTokens ?? null } };
    case 'heard':
      return { heard: { topic: entry.topic, payload: base64(entry.payload) } };
    case 'state':
      return { state: { frame: base64(entry.frame) } };
    case 'expired':
      return { expired: {} };
    default:
      return { lost: { lines: entry.lines } };
  }
}

function decisionToWire(decision: RecordedDecision): Wire {
  const { constraints, override, expectedOutputTokens, adjusted } = decision;
  return {
    id: decision.id,
    isl: decision.isl,
    local: base64(new Uint8Array(decision.local.buffer, decision.local.byteOffset, decision.local.byteLength)),
    ...(constraints === undefined ? {} : { constraints: constraintsToWire(constraints) }),
    ...(override === undefined ? {} : { override }),
    ...(expectedOutputTokens === undefined ? {} : { expected_output_tokens: expectedOutputTokens }),
    worker_id: decision.workerId,
    dp_rank: decision.dpRank,
    cost: decision.cost,
    overlap_blocks: decision.overlapBlocks,
    cached_tokens: decision.cachedTokens,
    random: decision.random,
    ...(adjusted === undefined ? {} : { adjusted }),
  };
}

const constraintsToWire = ({ requiredTaints, preferredTaints, pinned, allowed }: Constraints): Wire => ({
  ...(requiredTaints === undefined ? {} : { required_taints: [...requiredTaints] }),
  ...(preferredTaints === undefined ? {} : { preferred_taints: preferredTaints }),
  ...(pinned === undefined ? {} : { pinned: { worker_id: pinned.workerId, dp_rank: pinned.dpRank ?? null } }),
  ...(allowed === undefined ? {} : { allowed: [...allowed] }),
});

/**
 * Reads one line; undefined for a kind of line that this version does not know.
 *
 * @throws DynamoError `backend_protocol` for what is no line of a recording.
 */
export function decodeRecorded(line: string): { readonly timestamp: number; readonly entry: RecordedEntry } | undefined {
  const wire = object(decodeJson(line)) ?? fail('a line', 'an object', line);
  const { timestamp, ...rest } = wire;
  const [[kind, value] = ['', undefined]] = Object.entries(rest);
  if (typeof timestamp !== 'number') throw wrong('timestamp', 'a number', timestamp);
  const body = object(value) ?? fail(kind, 'an object', value);
  const entry = entryOf(kind, body);
  return entry === undefined ? undefined : { timestamp, entry };
}

function entryOf(kind: string, body: Wire): RecordedEntry | undefined {
  const workerId = (): bigint => u64(body['worker_id'], 'worker_id');
  switch (kind) {
    case 'router': {
      const { block_size: blockSize, ...router } = body;
      return { kind, router: { ...router, blockSize: u32(blockSize, 'block_size') } as RecordedRouter };
    }
    case 'worker': {
      const config = object(body['config']) ?? fail('config', 'an object', body['config']);
      return { kind, workerId: workerId(), config: { ...config, taints: new Set(config['taints'] as string[]) } as unknown as WorkerConfig };
    }
    case 'gone':
      return { kind, workerId: workerId() };
    case 'available':
      return { kind, workerId: workerId(), available: body['available'] === true };
    case 'event': {
      const event = eventFromWire(body);
      return event === undefined ? undefined : { kind, event };
    }
    case 'reset':
      return { kind, workerId: workerId(), dpRank: u32(body['dp_rank'], 'dp_rank') };
    case 'decision':
      return { kind, decision: decisionOf(body) };
    case 'read':
      return { kind, id: String(body['id']) };
    case 'output':
      return { kind, id: String(body['id']), decay: typeof body['decay'] === 'number' ? body['decay'] : undefined };
    case 'freed': {
      const { output_tokens: output, cached_tokens: cached } = body;
      return {
        kind,
        id: String(body['id']),
        outputTokens: u32(output, 'output_tokens'),
        cachedTokens: typeof cached === 'number' ? cached : undefined,
      };
    }
    case 'heard':
      return { kind, topic: String(body['topic']), payload: Buffer.from(String(body['payload']), 'base64') };
    case 'state':
      return { kind, frame: Buffer.from(String(body['frame']), 'base64') };
    case 'expired':
      return { kind };
    case 'lost':
      return { kind, lines: u32(body['lines'], 'lines') };
    default:
      return undefined;
  }
}

function decisionOf(body: Wire): RecordedDecision {
  const bytes = Uint8Array.from(Buffer.from(String(body['local']), 'base64'));
  if (bytes.length % 8 !== 0) throw wrong('local', 'the bytes of 64-bit hashes', bytes.length);
  const number = (name: string): number => (typeof body[name] === 'number' ? body[name] : fail(name, 'a number', body[name]));
  const constraints = object(body['constraints']);
  const override = object(body['override']);
  const expected = body['expected_output_tokens'];
  const adjusted = body['adjusted'];
  return {
    id: String(body['id']),
    isl: u32(body['isl'], 'isl'),
    local: new BigUint64Array(bytes.buffer),
    ...(constraints === undefined ? {} : { constraints: constraintsOf(constraints) }),
    ...(override === undefined ? {} : { override }),
    ...(typeof expected === 'number' ? { expectedOutputTokens: expected } : {}),
    workerId: u64(body['worker_id'], 'worker_id'),
    dpRank: u32(body['dp_rank'], 'dp_rank'),
    cost: number('cost'),
    overlapBlocks: number('overlap_blocks'),
    cachedTokens: number('cached_tokens'),
    random: u32(body['random'], 'random'),
    ...(Array.isArray(adjusted)
      ? {
          adjusted: (adjusted as unknown[][]).map(
            ([worker, rank, device]) => [u64(worker, 'adjusted'), u32(rank, 'adjusted'), u32(device, 'adjusted')] as const,
          ),
        }
      : {}),
  };
}

function constraintsOf(wire: Wire): Constraints {
  const { required_taints: required, preferred_taints: preferred, allowed } = wire;
  const pinned = object(wire['pinned']);
  const rank = pinned?.['dp_rank'];
  return {
    ...(Array.isArray(required) ? { requiredTaints: required.map(String) } : {}),
    ...(object(preferred) === undefined ? {} : { preferredTaints: preferred as Record<string, number> }),
    ...(Array.isArray(allowed) ? { allowed: allowed.map((id) => u64(id, 'allowed')) } : {}),
    ...(pinned === undefined
      ? {}
      : { pinned: { workerId: u64(pinned['worker_id'], 'worker_id'), ...(rank == null ? {} : { dpRank: u32(rank, 'dp_rank') }) } }),
  };
}

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');

const fail = (member: string, expected: string, got: unknown): never => {
  throw wrong(member, expected, got);
};
