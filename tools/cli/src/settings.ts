import type { RouterSettings } from '@dynamo/kv-router/internal';
import type { FrontendOptions, HttpOptions } from '@dynamo/llm';
import type { PolicyName } from '@dynamo/runtime';
import { type CommandName, type Flag, flags } from './flags.ts';
import type { EngineName } from './engines/index.ts';
import { readers } from './flag-types.ts';
import { UsageError } from './usage.ts';

/** Limits of the HTTP server, in the units of their variables. */
type LimitName =
  | 'concurrent'
  | 'queued'
  | 'queueSeconds'
  | 'overloadStatus'
  | 'bodiesMb'
  | 'requestSeconds'
  | 'readerSeconds'
  | 'idleSeconds'
  | 'firstItemSeconds';

/** Every option with its value; a row of the flag table names the member that it fills. */
export interface Settings {
  /** Which log lines are written, in the form of `DYN_LOG`. */
  readonly log: string;
  readonly namespace?: string;
  readonly modelPath?: string;
  readonly connect: {
    readonly discovery: 'file' | 'mem' | 'etcd';
    readonly requestPlane: 'nats' | 'tcp';
    readonly responsePlane: 'tcp';
    readonly eventPlane: 'nats' | 'zmq';
  };
  readonly frontend: {
    readonly http: { readonly host: string; readonly port: number } & HttpOptions;
    readonly router: { readonly mode: PolicyName | 'kv'; readonly overload?: NonNullable<NonNullable<FrontendOptions['router']>['overload']> };
    /** What is switched off. */
    readonly without?: { readonly admin?: boolean; readonly nvext?: boolean };
    readonly tls?: { readonly certPath?: string; readonly keyPath?: string; readonly clientCaPath?: string };
    readonly keysPath?: string;
    readonly admin: 'guarded' | 'open';
    readonly httpWorkers: number | 'auto';
    readonly reusePort: boolean;
    readonly namespacePrefix?: string;
    readonly metricsPrefix?: string;
    readonly migrationLimit: number;
    readonly migrationMaxSequence?: number;
    readonly interactive: boolean;
    readonly kserve: boolean;
    readonly grpcMetricsPort: number;
    readonly bodyLimitMb: number;
    readonly limits?: Readonly<Partial<Record<LimitName, number>>>;
    readonly drainSeconds?: number;
  };
  readonly router: {
    readonly settings: Partial<RouterSettings>;
    readonly conditional?: string;
    readonly loadAware: boolean;
    readonly minWorkers: number;
    readonly blockSize?: number;
    readonly affinity: { readonly ttlSeconds?: number; readonly mode: 'hard' | 'soft' };
    /** Of the router on its own. */
    readonly endpoint?: `${string}.${string}.${string}`;
    readonly serviceBlockSize: number;
    /** What the real router does not have. */
    readonly beyond: {
      readonly trust: 'act' | 'watch' | 'off';
      readonly routeHeader: boolean;
      readonly warmPeers: boolean;
      readonly warmFolder?: string;
      readonly record?: string;
    };
    readonly recording?: string;
  };
  /** Of the router's services on their own. */
  readonly services: {
    readonly host: string;
    readonly slotsPort: number;
    readonly indexerPort: number;
    readonly selectionPort: number;
    readonly threads: number;
    readonly replicaPort?: number;
    readonly replicaPeers?: string;
    readonly blockSize?: number;
    readonly engines?: string;
    readonly replays?: string;
    readonly model: string;
    readonly group: string;
    readonly indexerPeers?: string;
    readonly selectionPeers?: string;
    readonly affinityTtlSeconds?: number;
    readonly pendingTtlSeconds: number;
    readonly pendingMost: number;
  };
  readonly worker: {
    readonly engine?: EngineName;
    readonly name?: string;
    readonly endpoint?: `${string}.${string}.${string}`;
    /** File with a chat template that stands in for the model's own. */
    readonly chatTemplate?: string;
    readonly delayMs: number;
    readonly graceSeconds: number;
  };
  readonly workers: number;
  readonly upstream: UpstreamSettings;
  /** Of the engine that runs GGUF files. */
  readonly llama?: LlamaSettings;
  /** What is asked without HTTP. */
  readonly run: {
    readonly input?: string;
    readonly engine?: Exclude<EngineName, 'openai'>;
    readonly maxTokens?: number;
    readonly output?: string;
    readonly concurrency: number;
    readonly resume: boolean;
  };
  readonly replay: ReplaySettings;
  readonly mocker: MockerSettings;
  readonly planner: PlannerSettings;
  /** What a new API key may do. */
  readonly keys?: {
    readonly id?: string;
    readonly file?: string;
    readonly models?: string;
    readonly requestsPerMinute?: number;
    readonly tokensPerMinute?: number;
    readonly admin?: boolean;
    readonly expiresDays?: number;
  };
}

/** How much of the machine a GGUF file may use. */
export interface LlamaSettings {
  readonly sequences?: number;
  readonly contextLength?: number;
  readonly threads?: number;
  readonly blockSize?: number;
}

/** OpenAI servers that become workers; lists have commas between their parts. */
export interface UpstreamSettings {
  readonly urls?: string;
  readonly kvEvents?: string;
  readonly input?: 'tokens' | 'text';
  readonly blockSize?: number;
  readonly probeSeconds: number;
  readonly idleSeconds: number;
  readonly key?: string;
}

/** What is replayed, over what, and how it is reported. */
export interface ReplaySettings {
  readonly trace?: string;
  readonly traceBlockSize: number;
  readonly synthetic?: Readonly<Partial<Record<SyntheticName, number>>>;
  readonly engine?: string;
  readonly prefillEngine?: string;
  readonly decodeEngine?: string;
  readonly workers?: number;
  readonly prefillWorkers?: number;
  readonly decodeWorkers?: number;
  readonly placement: 'round-robin' | 'kv';
  readonly eventLagMs?: number;
  readonly concurrency?: number;
  readonly arrivalSpeedup?: number;
  readonly sla?: { readonly ttftMs?: number; readonly itlMs?: number; readonly e2eMs?: number };
  readonly untilMs?: number;
  readonly seed?: number;
  readonly perRequest: boolean;
  readonly format: 'table' | 'json';
  readonly jsonPath?: string;
  readonly jsonlPath?: string;
  readonly htmlPath?: string;
  readonly sweep?: string;
  readonly rankBy: string;
  readonly threads?: number;
  readonly url?: string;
  readonly model?: string;
}

/** How mock workers behave. */
export interface MockerSettings {
  readonly blocks?: number;
  readonly blockSize?: number;
  readonly maxModelLength?: number;
  readonly maxSequences: number;
  readonly maxBatchedTokens: number;
  readonly prefixCaching: boolean;
  readonly chunkedPrefill: boolean;
  readonly preemption: string;
  readonly speedup: number;
  readonly decodeSpeedup: number;
  readonly ranks?: number;
  readonly startupSeconds?: number;
  readonly profilePath?: string;
  readonly workers: number;
  readonly staggerSeconds: number;
  readonly backend: string;
  readonly trtllmPolicy?: string;
  readonly role?: 'agg' | 'prefill' | 'decode';
  readonly isPrefill: boolean;
  readonly isDecode: boolean;
  readonly reasoning?: string;
  readonly repliesPath?: string;
  readonly configPath?: string;
  readonly bootstrapPorts?: string;
  readonly transferBandwidth?: number;
  readonly transferMode?: string;
  readonly bytesPerToken?: number;
  readonly cacheType: string;
  readonly readable: boolean;
}

type SyntheticName =
  | 'inputTokens'
  | 'outputTokens'
  | 'requests'
  | 'ratePerSecond'
  | 'intervalMs'
  | 'seed'
  | 'turns'
  | 'turnDelayMs'
  | 'sharedPrefix'
  | 'groups';

/** What the command line gave, by flag name: text, or true and false for switches. */
export type Given = Readonly<Record<string, string | boolean | undefined>>;
type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Settles each option of a command: its flag, then its variable (an empty one counts as unset), then its default.
 *
 * @throws UsageError naming the flag or the variable, its value and what was expected.
 */
export function settle(command: CommandName, given: Given, env: Environment): Settings {
  const settings = {};
  for (const row of flags) {
    // Other options for recorded traffic are those that are named: the rest is as recorded.
    const only = command === 'what-if' && row.option.startsWith('router.settings.');
    const found = row.commands.includes(command) ? valueOf(only ? withoutFallback(row) : row, given, only ? {} : env) : row.fallback;
    if (found !== undefined) put(settings, row.option.split('.'), found);
  }
  // The table fills every member that is not optional; flags.test.ts holds it to that.
  return settings as Settings;
}

const withoutFallback = ({ fallback: _, ...row }: Flag): Flag => row;

function valueOf(row: Flag, given: Given, env: Environment): string | number | boolean | undefined {
  const flagText = row.flag === undefined ? undefined : given[row.flag];
  const envText = row.env === undefined ? undefined : env[row.env] || undefined;
  const text = flagText ?? envText;
  // The real commands take the word for "unset" where there is no default.
  if (text === undefined || (text === 'None' && row.fallback === undefined && row.type !== 'text')) return row.fallback;
  const source = flagText === undefined ? `${row.env}='${text}'` : `${row.flag} '${text}'`;
  const value = readers[row.type](String(text), row);
  if (typeof value === 'object') throw new UsageError(`${source}: expected ${value.expected}`);
  if (row.later?.(value) === true) throw new UsageError(`${typeof flagText === 'boolean' ? row.flag : source} is not available in this version`);
  return value;
}

function put(target: Record<string, unknown>, path: readonly string[], value: unknown): void {
  const [name = '', ...rest] = path;
  if (rest.length === 0) target[name] = value;
  else put((target[name] ??= {}) as Record<string, unknown>, rest, value);
}

/** What a planner plans for, from what, and what it does about it. */
export interface PlannerSettings {
  readonly mode: 'disagg' | 'prefill' | 'decode' | 'agg';
  readonly target: 'throughput' | 'latency' | 'load' | 'sla';
  readonly environment: 'local' | 'virtual';
  readonly advisory: boolean;
  readonly minEndpoint: number;
  readonly prefillMinEndpoint?: number;
  readonly decodeMinEndpoint?: number;
  readonly maxGpus: number;
  readonly minGpus: number;
  readonly prefillGpus: number;
  readonly decodeGpus: number;
  readonly thresholds?: { readonly prefillUp?: number; readonly prefillDown?: number; readonly decodeUp?: number; readonly decodeDown?: number };
  readonly loadSeconds: number;
  readonly throughputSeconds: number;
  readonly mostStep: number;
  readonly ttftMs: number;
  readonly itlMs: number;
  readonly predictor: string;
  readonly logarithmic: boolean;
  readonly kalman: { readonly levelNoise: number; readonly trendNoise: number; readonly measurementNoise: number; readonly minPoints: number };
  readonly trace?: string;
  readonly dayPeak?: number;
  readonly seed: number;
  readonly engine?: string;
  readonly htmlPath?: string;
  readonly jsonPath?: string;
  readonly metricsUrl?: string;
  readonly prometheusUrl?: string;
  readonly model?: string;
  readonly prefillEndpoint?: string;
  readonly decodeEndpoint?: string;
  readonly workerCommand?: string;
  readonly prefillCommand?: string;
  readonly drainSeconds: number;
}
