import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DiscoveryName } from './discovery/index.ts';
import type { Discovery } from './discovery/discovery.ts';
import { type EtcdOptions, etcdOptionsOf } from './discovery/etcd/options.ts';
import { defaultDeviceRatio } from './client/policy/index.ts';
import { checkConnectOptions } from './check-options.ts';
import { type Environment, isOn, pathOf, pick, ports, seconds, whole } from './environment.ts';
import { DynamoError } from './error.ts';
import { silentLogger, speakingFor, type Logger } from './log.ts';
import { localAddress } from './net/address.ts';
import { readTlsSettings, type TlsSettings } from './net/tls-settings.ts';
import type { EventPlane } from './planes/events/event-plane.ts';
import type { EventPlaneName, EventSettings } from './planes/events/index.ts';
import { defaultCapacity } from './planes/events/subscription.ts';
import type { StatusServerOptions } from './system/server.ts';
import { type NatsSettings, readNatsSettings } from './planes/nats/settings.ts';
import type { RequestPlaneName } from './planes/request/index.ts';
import { type TracingSettings, tracingOf } from './tracing/settings.ts';
import type { CodecName } from './wire/codec.ts';

/** How a runtime connects. Each member falls back to its `DYN_*` variable and then to the default named here. */
export interface ConnectOptions {
  /** Where processes find each other: `DYN_DISCOVERY_BACKEND`, default `file`. `etcd` takes its servers from `ETCD_ENDPOINTS`; `kubernetes` is refused for now. */
  discovery?: 'file' | 'mem' | 'etcd' | 'kubernetes' | Discovery;
  /** How requests to this runtime's endpoints travel: `DYN_REQUEST_PLANE`, default `tcp`. Those of others are called as they ask for, whatever this says. */
  requestPlane?: 'tcp' | 'nats';
  /** How events travel: `DYN_EVENT_PLANE`, default `zmq` (within the process when discovery is `mem`). Opened when first used. */
  eventPlane?: 'zmq' | 'nats' | 'mem' | EventPlane;
  /** Status server with /health, /live, /metrics and engine routes; default off, or on when `DYN_SYSTEM_PORT` is 0 or more. */
  system?: { port: number; host?: string } | false;
  /**
   * How long a peer may take on the way to an answer, in milliseconds: to accept a connection (`DYN_TCP_CONNECT_TIMEOUT`,
   * default 5 000), to acknowledge a request (`DYN_TCP_REQUEST_TIMEOUT`, 5 000; over NATS `DYN_NATS_REQUEST_TIMEOUT_SECS`, 10 000), to call home (10 000) and then to say whether
   * its handler has started (60 000). Limits on the answer itself are options of a call.
   */
  timeouts?: { connectMs?: number; ackMs?: number; callHomeMs?: number; prologueMs?: number };
  /** How long disposal waits for running requests, in milliseconds; default 30 000. */
  drainMs?: number;
  /**
   * Spans of requests and calls, sent to an OpenTelemetry collector: `OTEL_EXPORT_ENABLED` and the `OTEL_EXPORTER_OTLP_*`
   * variables, default off. An object turns it on; `endpoint` is the whole address. false keeps it off whatever the variables say.
   */
  tracing?: { endpoint?: string; protocol?: 'grpc' | 'http/protobuf'; serviceName?: string; sampleRatio?: number } | false;
  /** Where log lines go; silent by default. */
  log?: Logger;
  /** Aborts connecting; later it means "shut down". */
  signal?: AbortSignal;
}

/** Every setting with its value, as the parts of a runtime read it. */
export interface Settings {
  readonly discovery: DiscoveryName | Discovery;
  /** What this runtime's own endpoints are reached by. */
  readonly requestPlane: RequestPlaneName;
  readonly root: string;
  /** Set when discovery is `etcd`. */
  readonly etcd?: EtcdOptions;
  readonly codec: CodecName;
  readonly device: string;
  readonly request: {
    readonly host: string;
    readonly port: number;
    readonly maxFrameBytes: number;
    readonly concurrency: number;
    readonly queue: number;
  };
  readonly tls: TlsSettings;
  readonly response: { readonly host: string; readonly port: number };
  readonly eventPlane: EventPlaneName | EventPlane;
  readonly events: EventSettings;
  /** How to reach NATS, and how long a request may wait there for its acknowledgement, in milliseconds. */
  readonly nats: NatsSettings & { readonly ackMs: number };
  readonly timeouts: {
    readonly connectMs: number;
    readonly ackMs: number;

    readonly callHomeMs: number;
    readonly prologueMs: number;
  };
  readonly quarantineMs: number;
  /** How many times the work of a CPU instance any other one does. */
  readonly deviceRatio: number;
  readonly system: Pick<StatusServerOptions, 'host' | 'port' | 'healthPath' | 'livePath' | 'loras'> | undefined;
  readonly startsReady: boolean;
  readonly healthCheck: { readonly enabled: boolean; readonly waitMs: number; readonly limitMs: number };
  readonly drainMs: number;
  /** Undefined: nothing is traced. */
  readonly tracing: TracingSettings | undefined;
  readonly log: Logger;
}

/**
 * Settles every option from its argument, then its variable, then its default (spec runtime-wire 2): the only reader of
 * the environment.
 */
export function settle(options: ConnectOptions, env: Environment = process.env): Settings {
  checkConnectOptions(options);
  const discovery =
    typeof options.discovery === 'object'
      ? options.discovery
      : pick(env, 'DYN_DISCOVERY_BACKEND', ['file', 'mem', 'etcd', 'kubernetes'], { option: 'discovery', value: options.discovery });
  const requestPlane = pick(env, 'DYN_REQUEST_PLANE', ['tcp', 'nats'], { option: 'requestPlane', value: options.requestPlane });
  const eventPlane =
    typeof options.eventPlane === 'object'
      ? options.eventPlane
      : pick(env, 'DYN_EVENT_PLANE', eventPlanesFor(discovery), { option: 'eventPlane', value: options.eventPlane });
  const responsePlane = pick(env, 'DYN_RESPONSE_PLANE', ['tcp', 'quic']);
  if (discovery === 'kubernetes') throw later("discovery 'kubernetes'", "use 'etcd', 'file' or 'mem'");
  if (responsePlane === 'quic') throw later("response plane 'quic'", 'set DYN_RESPONSE_PLANE=tcp at both ends');
  const limit = env['DYN_ENGINE_REQUEST_LIMIT'] ? whole(env, 'DYN_ENGINE_REQUEST_LIMIT', 1, { least: 1, most: 1_000_000 }) : undefined;
  const systemPort = whole(env, 'DYN_SYSTEM_PORT', -1, { ...ports, least: -1 });
  const host = env['DYN_SYSTEM_HOST'] || '0.0.0.0';
  const system = options.system === false ? undefined : (options.system ?? (systemPort >= 0 ? { port: systemPort } : undefined));
  return {
    discovery,
    ...(discovery === 'etcd' ? { etcd: etcdOptionsOf(env) } : {}),
    requestPlane,
    root: env['DYN_FILE_KV'] || join(tmpdir(), 'dynamo_store_kv'),
    codec: env['DYN_REQUEST_PLANE_CODEC'] === 'json' ? 'json' : 'msgpack',
    device: deviceOf(env),
    request: {
      host: env['DYN_TCP_RPC_HOST'] || localAddress(),
      port: whole(env, 'DYN_TCP_RPC_PORT', 0, ports),
      maxFrameBytes: whole(env, 'DYN_TCP_MAX_MESSAGE_SIZE', 32 * 1024 * 1024, { least: 1, most: 4_294_967_295 }),
      concurrency: limit ?? whole(env, 'DYN_TCP_WORKER_POOL_SIZE', 10_000, { least: 1, most: 1_000_000 }),
      queue: limit === undefined ? whole(env, 'DYN_TCP_WORK_QUEUE_SIZE', 40_000) : whole(env, 'DYN_DYNAMO_REQUEST_QUEUE_LIMIT', 16),
    },
    tls: { ...readTlsSettings(env), handshakeMs: seconds(env, 'DYN_TCP_TLS_HANDSHAKE_TIMEOUT_SECS', 3, 1) },
    response: { host: env['DYN_TCP_RESPONSE_STREAM_HOST'] || localAddress(), port: whole(env, 'DYN_TCP_RESPONSE_STREAM_PORT', 0, ports) },
    eventPlane,
    events: {
      host: env['DYN_EVENT_PLANE_HOST'] || localAddress(),
      broker: env['DYN_ZMQ_BROKER_URL'] || (isOn(env, 'DYN_ZMQ_BROKER_ENABLED') ? 'discover' : undefined),
      capacity: whole(env, 'DYN_ZMQ_EVENT_SUBSCRIBER_CHANNEL_CAPACITY', defaultCapacity),
    },
    nats: { ...readNatsSettings(env), ackMs: options.timeouts?.ackMs ?? seconds(env, 'DYN_NATS_REQUEST_TIMEOUT_SECS', 10, 1) },
    timeouts: {
      connectMs: seconds(env, 'DYN_TCP_CONNECT_TIMEOUT', 5, 1),
      ackMs: seconds(env, 'DYN_TCP_REQUEST_TIMEOUT', 5, 1),
      // The real client waits for ever (spec runtime-wire 16.9); a worker calls home within milliseconds of its ack.
      callHomeMs: 10_000,
      prologueMs: 60_000,
      ...Object.fromEntries(Object.entries(options.timeouts ?? {}).filter(([, ms]) => ms !== undefined)),
    },
    quarantineMs: seconds(env, 'DYN_RUNTIME_INHIBITED_DURATION_SECS', 5),
    deviceRatio: ratioOf(env['DYN_ENCODER_CUDA_TO_CPU_RATIO']),
    system: system && { host, ...system, ...statusPaths(env), loras: isOn(env, 'DYN_LORA_ENABLED') },
    startsReady: pick(env, 'DYN_SYSTEM_STARTING_HEALTH_STATUS', ['notready', 'ready']) === 'ready',
    healthCheck: {
      enabled: isOn(env, 'DYN_HEALTH_CHECK_ENABLED'),
      waitMs: seconds(env, 'DYN_CANARY_WAIT_TIME', 10, 1),
      limitMs: seconds(env, 'DYN_HEALTH_CHECK_REQUEST_TIMEOUT', 3, 1),
    },
    drainMs: options.drainMs ?? seconds(env, 'DYN_RUNTIME_GRACEFUL_SHUTDOWN_TIMEOUT_SECS', 30),
    tracing: options.tracing === false ? undefined : tracingOf(options.tracing === undefined ? env : { ...env, ...asVariables(options.tracing) }),
    log: speakingFor(options.log ?? silentLogger, 'dynamo_runtime'),
  };
}

/** Within one process no socket is needed. */
const eventPlanesFor = (discovery: unknown): readonly EventPlaneName[] => (discovery === 'mem' ? ['mem', 'zmq', 'nats'] : ['zmq', 'nats', 'mem']);

/** Where /health and /live are. */
const statusPaths = (env: Environment): { healthPath: string; livePath: string } => ({
  healthPath: pathOf(env, 'DYN_SYSTEM_HEALTH_PATH', '/health'),
  livePath: pathOf(env, 'DYN_SYSTEM_LIVE_PATH', '/live'),
});

const later = (what: string, instead: string): DynamoError =>
  new DynamoError('not_implemented', `${what} is not available in this version; ${instead}`);

/** What is no whole number from 1 counts as not said, as in the real system. */
const ratioOf = (text = ''): number => (/^\+?\d{1,15}$/.test(text) && Number(text) >= 1 ? Number(text) : defaultDeviceRatio);

/** The real system says `cuda` also where there is no GPU, unless the variables hide every device (spec runtime-wire 3.1). */
function deviceOf(env: Environment): string {
  const cuda = env['CUDA_VISIBLE_DEVICES'];
  const hidden = cuda !== undefined && ['', '-1', 'none', 'void'].includes(cuda);
  return hidden || ['none', 'void'].includes(env['NVIDIA_VISIBLE_DEVICES'] ?? '') ? 'cpu' : 'cuda';
}

/** Tracing's options as the variables that they stand for: arguments win over the environment. */
function asVariables(tracing: Exclude<ConnectOptions['tracing'], false | undefined>): Environment {
  const { endpoint, protocol, serviceName, sampleRatio } = tracing;
  return {
    OTEL_EXPORT_ENABLED: '1',
    ...(endpoint === undefined ? {} : { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: endpoint }),
    ...(protocol === undefined ? {} : { OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: protocol }),
    ...(serviceName === undefined ? {} : { OTEL_SERVICE_NAME: serviceName }),
    ...(sampleRatio === undefined ? {} : { OTEL_TRACES_SAMPLE_RATIO: String(sampleRatio) }),
  };
}
