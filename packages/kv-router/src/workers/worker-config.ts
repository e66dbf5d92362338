import { object } from '../wire/members.ts';

/** Prompt tokens a step of a worker that does not say how many it takes (spec kv-router 9). */
export const defaultBatchedTokens = 8192;

/** What routing must know of a worker, read from its card without knowing what else a card holds (spec llm 1.3, 1.4). */
export interface WorkerConfig {
  readonly dpStart: number;
  readonly dpSize: number;
  /** Tokens of one KV block, where the card says so. */
  readonly blockSize?: number;
  readonly maxBatchedTokens?: number;
  readonly totalKvBlocks?: number;
  /** Taints as routing sees them: those of the card and one of each topology domain. */
  readonly taints: ReadonlySet<string>;
  /** Whether it answers recovery queries for its events. */
  readonly localIndexer: boolean;
  /** Whether its block hashes overlap by a token. */
  readonly eagle: boolean;
  readonly role: 'aggregated' | 'prefill' | 'decode' | 'encode';
  /** How the engine's events reach the event plane, as the card names it. */
  readonly eventSource?: string;
  readonly kvStateEndpoint?: { readonly namespace: string; readonly component: string; readonly name: string };
  /** Where a decode worker fetches what this one has prefilled. */
  readonly bootstrap?: { readonly host: string; readonly port: number };
  /** Identity that survives restarts. */
  readonly stableId?: string;
  /** Which topology domain a prefill wants its decode worker in, and how much. */
  readonly transfer?: { readonly domain: string; readonly enforcement: 'required' | 'preferred'; readonly weight?: number; readonly value?: string };
}

const roles: readonly string[] = ['aggregated', 'prefill', 'decode', 'encode'] satisfies WorkerConfig['role'][];

/**
 * Reads the routing facts of a model card as discovery holds it (bucket `v1/mdc`, member `card_json`).
 *
 * A member that is missing or of another type counts as unset: one odd worker must not spoil the others.
 */
export function readWorkerConfig(card: unknown): WorkerConfig {
  const root = object(card) ?? {};
  const runtime = object(root['runtime_config']) ?? {};
  const topology = object(runtime['topology_domains']) ?? {};
  const places = Object.entries(topology).filter((entry): entry is [string, string] => typeof entry[1] === 'string');
  const role =
    typeof root['worker_type'] === 'string' && roles.includes(root['worker_type']) ? (root['worker_type'] as WorkerConfig['role']) : 'aggregated';
  return {
    dpStart: count(runtime['data_parallel_start_rank']) ?? 0,
    dpSize: Math.max(1, count(runtime['data_parallel_size']) ?? 1),
    ...optional('blockSize', count(root['kv_cache_block_size'])),
    ...optional('maxBatchedTokens', count(runtime['max_num_batched_tokens'])),
    ...optional('totalKvBlocks', count(runtime['total_kv_blocks'])),
    taints: new Set([...texts(runtime['taints']), ...places.map(([domain, value]) => topologyTaint(domain, value))]),
    localIndexer: runtime['enable_local_indexer'] !== false,
    eagle: runtime['enable_eagle'] === true,
    role,
    ...optional('eventSource', text(runtime['kv_event_source_mode'])),
    ...optional('kvStateEndpoint', endpoint(runtime['kv_state_endpoint'])),
    ...optional('bootstrap', bootstrap(runtime['disaggregated_endpoint'])),
    ...optional('stableId', text(runtime['stable_routing_id'])),
    ...optional('transfer', transfer(runtime, topology)),
  };
}

/** The taint that stands for a place (spec kv-router 11). */
export const topologyTaint = (domain: string, value: string): string => `dynamo.topology/${domain}=${value}`;

const optional = <K extends string, T>(name: K, value: T | undefined): { [P in K]?: T } =>
  value === undefined ? {} : ({ [name]: value } as { [P in K]?: T });

const count = (value: unknown): number | undefined => (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : undefined);
const text = (value: unknown): string | undefined => (typeof value === 'string' && value !== '' ? value : undefined);
const texts = (value: unknown): string[] => (Array.isArray(value) ? value.filter((item): item is string => typeof item === 'string') : []);

function endpoint(value: unknown): WorkerConfig['kvStateEndpoint'] {
  const { namespace, component, name } = object(value) ?? {};
  return typeof namespace === 'string' && typeof component === 'string' && typeof name === 'string' ? { namespace, component, name } : undefined;
}

function bootstrap(value: unknown): WorkerConfig['bootstrap'] {
  const { bootstrap_host: host, bootstrap_port: port } = object(value) ?? {};
  return typeof host === 'string' && count(port) !== undefined ? { host, port: port as number } : undefined;
}

function transfer(runtime: Readonly<Record<string, unknown>>, topology: Readonly<Record<string, unknown>>): WorkerConfig['transfer'] {
  const { kv_transfer_domain: domain, kv_transfer_enforcement: enforcement, kv_transfer_preferred_weight: weight } = runtime;
  if (typeof domain !== 'string' || (enforcement !== 'required' && enforcement !== 'preferred')) return undefined;
  return { domain, enforcement, ...(typeof weight === 'number' ? { weight } : {}), ...optional('value', text(topology[domain])) };
}
