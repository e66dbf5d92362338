import type { WireCard } from './wire-card.ts';

/** What a worker says of how it runs its model: the settings of `runtime_config` on the card (spec llm 1.4). */
export interface ModelRuntimeConfigOptions {
  /** Longest sequence in tokens, where it differs from the model's own. */
  contextLength?: number;
  /** KV blocks that fit into the engine's memory. */
  kvBlocks?: number;
  /** Most sequences that run at once. */
  sequences?: number;
  /** Most tokens in one step. */
  batchedTokens?: number;
  /** Name of the tool-call parser for the model's family. */
  toolParser?: string;
  /** Name of the reasoning parser for the model's family. */
  reasoningParser?: string;
  /** Whether tools are left out of the prompt when `tool_choice` is `none`; default true. */
  dropUnusedTools?: boolean;
  /** First data-parallel rank that this worker answers for; default 0. */
  dataParallelStart?: number;
  /** How many ranks it answers for; default 1. */
  dataParallelSize?: number;
  /** Whether the worker answers recovery queries for its KV events; default true. */
  localIndexer?: boolean;
  /** Whether it decodes speculatively with EAGLE, which shifts block hashes by a token; default false. */
  eagle?: boolean;
  /** Facts of the engine that only its own tools read, by name. */
  engineData?: Readonly<Record<string, unknown>>;
  /** Where a decode worker fetches the KV cache of a prefill. */
  bootstrap?: { readonly host: string; readonly port: number };
  /** Words that routing may avoid or ask for. */
  taints?: readonly string[];
  /** Identity that survives restarts. */
  stableId?: string;
  /** Place in the cluster, such as `{ zone: 'z1' }`. */
  topology?: Readonly<Record<string, string>>;
}

type Reader = (value: unknown) => unknown;
const number: Reader = (value) => (typeof value === 'number' ? value : undefined);
const text: Reader = (value) => (typeof value === 'string' ? value : undefined);
const flag: Reader = (value) => (typeof value === 'boolean' ? value : undefined);
const record: Reader = (value) => (typeof value === 'object' && value !== null && !Array.isArray(value) ? value : undefined);
const texts: Reader = (value) => (Array.isArray(value) ? value.filter((item) => typeof item === 'string') : undefined);
const address: Reader = (value) => {
  const { bootstrap_host: host, bootstrap_port: port } = (record(value) ?? {}) as Record<string, unknown>;
  return typeof host === 'string' && typeof port === 'number' ? { host, port } : undefined;
};

interface Member {
  /** What the real system writes where nothing is set; a member without it is left out then. */
  readonly absent?: unknown;
  readonly option?: keyof ModelRuntimeConfigOptions;
  readonly read?: Reader;
  readonly write?: (value: never) => unknown;
}

/** Every member that we know, in the order in which the real system writes them (captured cards). */
const members: Readonly<Record<string, Member>> = {
  context_length: { option: 'contextLength', read: number },
  total_kv_blocks: { absent: null, option: 'kvBlocks', read: number },
  max_num_seqs: { absent: null, option: 'sequences', read: number },
  max_num_batched_tokens: { absent: null, option: 'batchedTokens', read: number },
  tool_call_parser: { absent: null, option: 'toolParser', read: text },
  reasoning_parser: { absent: null, option: 'reasoningParser', read: text },
  tool_call_arguments_format: { absent: 'json_string' },
  structural_tag_mode: { absent: 'off' },
  structural_tag_scope: { absent: 'auto' },
  structural_tag_schema: { absent: 'auto' },
  exclude_tools_when_tool_choice_none: { absent: true, option: 'dropUnusedTools', read: flag },
  data_parallel_start_rank: { absent: 0, option: 'dataParallelStart', read: number },
  data_parallel_size: { absent: 1, option: 'dataParallelSize', read: number },
  enable_local_indexer: { absent: true, option: 'localIndexer', read: flag },
  runtime_data: { option: 'engineData', read: record },
  disaggregated_endpoint: {
    option: 'bootstrap',
    read: address,
    write: ({ host, port }: { host: string; port: number }) => ({ bootstrap_host: host, bootstrap_port: port }),
  },
  enable_eagle: { absent: false, option: 'eagle', read: flag },
  taints: { option: 'taints', read: texts },
  stable_routing_id: { option: 'stableId', read: text },
  topology_domains: { option: 'topology', read: record },
};

/**
 * What a worker says of how it runs its model.
 *
 * Read from a card, it keeps the members that it has no name for and writes them back.
 */
export class ModelRuntimeConfig {
  /** What is set; members at their defaults that were never named are absent. */
  readonly options: Readonly<ModelRuntimeConfigOptions>;
  readonly #wire: Readonly<Record<string, unknown>>;

  constructor(options: ModelRuntimeConfigOptions = {}, wire: Readonly<Record<string, unknown>> = {}) {
    this.options = { ...options };
    this.#wire = wire;
  }

  /** Reads `runtime_config` of a card; a member of another type than the real one counts as unset. */
  static fromWire(wire: Readonly<Record<string, unknown>>): ModelRuntimeConfig {
    const options: Record<string, unknown> = {};
    for (const [name, { option, read }] of Object.entries(members)) {
      const value = option === undefined ? undefined : read?.(wire[name]);
      if (option !== undefined && value !== undefined) options[option] = value;
    }
    return new ModelRuntimeConfig(options as ModelRuntimeConfigOptions, wire);
  }

  /** The same with some settings changed; `undefined` unsets one. */
  with(changes: { readonly [K in keyof ModelRuntimeConfigOptions]: ModelRuntimeConfigOptions[K] | undefined }): ModelRuntimeConfig {
    const entries = Object.entries({ ...this.options, ...changes }).filter(([, value]) => value !== undefined);
    return new ModelRuntimeConfig(Object.fromEntries(entries) as ModelRuntimeConfigOptions, this.#wire);
  }

  /** Tokens that the KV cache holds, for cards with this block size; undefined where the worker does not say. */
  kvTokens(blockSize: number): number | undefined {
    return this.options.kvBlocks === undefined ? undefined : this.options.kvBlocks * blockSize;
  }

  /** `runtime_config` as the card carries it, members in the real order and unknown ones behind. */
  toWire(): WireCard['runtime_config'] {
    const wire: Record<string, unknown> = {};
    for (const [name, { absent, option, write }] of Object.entries(members)) {
      const set = option === undefined ? this.#wire[name] : this.options[option];
      if (set !== undefined) wire[name] = write === undefined ? set : write(set as never);
      else if (absent !== undefined) wire[name] = absent;
    }
    for (const [name, value] of Object.entries(this.#wire)) if (!Object.hasOwn(members, name)) wire[name] = value;
    return wire as WireCard['runtime_config'];
  }
}
