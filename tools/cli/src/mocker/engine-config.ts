import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { MockerSettings } from '../settings.ts';
import { UsageError } from '../usage.ts';

/** What a mock worker does: the flags' word for it, and the configuration's. */
const roles = { agg: 'aggregated', prefill: 'prefill', decode: 'decode' } as const;

/** The role that the flags name, in the words of the real command where they disagree. */
export function roleOf({ role, isPrefill, isDecode }: MockerSettings): keyof typeof roles {
  if ((isPrefill || isDecode) && role !== undefined)
    throw new UsageError('Cannot combine --is-prefill-worker/--is-decode-worker with --disaggregation-mode. Use only --disaggregation-mode.');
  if (isPrefill && isDecode)
    throw new UsageError(
      'Cannot specify both --is-prefill-worker and --is-decode-worker. A worker must be either prefill, decode, or aggregated (neither flag set).',
    );
  return role ?? (isPrefill ? 'prefill' : isDecode ? 'decode' : 'agg');
}

/** The configuration of one worker, under the names of the real one, as its command would make it (spec mocker 1). */
export function engineConfig(mocker: MockerSettings, worker: { readonly bootstrapPort?: number | undefined; readonly model: string }): unknown {
  if (mocker.configPath !== undefined) return withPort(fromFile(mocker.configPath), worker.bootstrapPort);
  const bytes = mocker.bytesPerToken ?? bytesPerToken(worker.model, mocker.cacheType);
  const engine = defined({
    backend: mocker.backend,
    worker_type: roles[roleOf(mocker)],
    num_gpu_blocks: mocker.blocks,
    block_size: mocker.blockSize,
    max_model_len: mocker.maxModelLength,
    max_num_seqs: mocker.maxSequences,
    max_num_batched_tokens: mocker.maxBatchedTokens,
    enable_prefix_caching: mocker.prefixCaching,
    enable_chunked_prefill: mocker.chunkedPrefill,
    speedup_ratio: mocker.speedup,
    decode_speedup_ratio: mocker.decodeSpeedup,
    preemption_mode: mocker.preemption,
    kv_transfer_bandwidth: mocker.transferBandwidth,
    kv_transfer_timing_mode: mocker.transferMode,
    kv_transfer_bytes_per_token: bytes,
    trtllm: mocker.trtllmPolicy === undefined ? undefined : { capacity_scheduler_policy: mocker.trtllmPolicy },
    timing_model:
      mocker.profilePath === undefined ? undefined : { type: 'external', provider: 'dynamo_profile', config: { path: mocker.profilePath } },
  });
  const runtime = defined({
    enable_local_indexer: true,
    reasoning: mocker.reasoning === undefined ? undefined : json(mocker.reasoning, '--reasoning'),
    response_replay_trace_path: mocker.repliesPath,
  });
  return withPort(defined({ engine, dp_size: mocker.ranks, startup_time: mocker.startupSeconds, dynamo: runtime }), worker.bootstrapPort);
}

function withPort(config: unknown, port: number | undefined): unknown {
  if (port === undefined) return config;
  const launch = config as { readonly dynamo?: object };
  return { ...launch, dynamo: { ...launch.dynamo, bootstrap_port: port } };
}

function fromFile(path: string): unknown {
  try {
    return json(readFileSync(path, 'utf8'), '--extra-engine-args');
  } catch (error) {
    if (error instanceof UsageError) throw error;
    throw new UsageError(`--extra-engine-args '${path}': ${error instanceof Error ? error.message : String(error)}`);
  }
}

function json(text: string, flag: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new UsageError(`${flag}: not JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** Only members that are set. */
const defined = (members: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined));

/** Bytes of the numbers that a cache may hold; 2 for all others. */
const typeBytes: Readonly<Record<string, number>> = {
  float32: 4,
  float8_e4m3fn: 1,
  float8_e5m2: 1,
  fp8: 1,
  fp8_ds_mla: 1,
  fp8_e4m3: 1,
  fp8_e5m2: 1,
  fp8_inc: 1,
};

/** KV cache of one token after the model's own sizes: layers, two of each, heads, their width and the bytes of a number. */
function bytesPerToken(model: string, cacheType: string): number | undefined {
  let config: Readonly<Record<string, unknown>>;
  try {
    // A file that is no object says nothing of sizes; the card refuses it.
    config = (JSON.parse(readFileSync(join(model, 'config.json'), 'utf8')) ?? {}) as Record<string, unknown>;
  } catch {
    return undefined;
  }
  const size = (...names: string[]): number | undefined => names.map((name) => config[name]).find((value) => typeof value === 'number');
  const [layers, heads, hidden] = [size('num_hidden_layers'), size('num_attention_heads'), size('hidden_size')];
  if (layers === undefined || heads === undefined || hidden === undefined || heads === 0) return undefined;
  const kind = cacheType === 'auto' ? String(config['dtype'] ?? config['torch_dtype'] ?? 'float16') : cacheType;
  const bytes = layers * 2 * (size('num_key_value_heads', 'num_kv_heads') ?? heads) * Math.floor(hidden / heads) * (typeBytes[kind] ?? 2);
  return bytes > 0 ? bytes : undefined;
}

/** Ports with commas between, one a worker. */
export function portsOf(text: string | undefined, flag: string, workers: number): readonly number[] {
  if (text === undefined || text === '') return [];
  const ports = text.split(',').map((part) => Number(part.trim()));
  if (ports.some((port) => !Number.isInteger(port) || port < 1 || port > 65_535))
    throw new UsageError(`${flag} '${text}': expected ports with commas between`);
  if (ports.length !== workers)
    throw new UsageError(`${flag} must have exactly --num-workers (${workers}) ports, got ${ports.length}: [${ports.join(', ')}]`);
  return ports;
}

/** Pause between the starts of workers, in seconds: -1 goes by their number. */
export function staggerOf(seconds: number, workers: number): number {
  if (seconds >= 0) return seconds;
  if (seconds !== -1)
    throw new UsageError(`Invalid --stagger-delay value: ${seconds}. Use -1 for auto mode, 0 to disable, or a positive value for explicit delay.`);
  return workers <= 32 ? 0 : workers <= 128 ? 0.1 : 0.2;
}

/** Ids of whole words in a model's vocabulary: what answers that people can read are made of. */
export function wordsOf(model: string): readonly number[] {
  const { model: inner } = JSON.parse(readFileSync(join(model, 'tokenizer.json'), 'utf8')) as { readonly model?: { readonly vocab?: unknown } };
  const vocab = inner?.vocab;
  const entries: (readonly [string, number])[] = Array.isArray(vocab)
    ? vocab.map((entry: unknown, id) => [String(Array.isArray(entry) ? entry[0] : entry), id] as const)
    : Object.entries((vocab ?? {}) as Record<string, number>);
  return entries.flatMap(([token, id]) => (/^[Ġ▁][a-z]{2,}$/.test(token) ? [id] : []));
}
