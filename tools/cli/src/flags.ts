import { engineNames } from './engines/names.ts';
import type { FlagType } from './flag-types.ts';
import { httpFlags } from './http-flags.ts';
import { llamaFlags } from './llama-flags.ts';
import { keyFlags } from './key-flags.ts';
import { mockerFlags } from './mocker-flags.ts';
import { plannerFlags } from './planner-flags.ts';
import { replayFlags } from './replay-flags.ts';
import { routerFlags } from './router-flags.ts';
import { serviceFlags } from './service-flags.ts';
import { upstreamFlags } from './upstream-flags.ts';
import { runFlags } from './run-flags.ts';

/** The commands of `dynamo`. */
export type CommandName =
  | 'run'
  | 'serve'
  | 'frontend'
  | 'worker'
  | 'router'
  | 'keys'
  | 'what-if'
  | 'replay'
  | 'mocker'
  | 'planner'
  | 'slot-tracker'
  | 'indexer'
  | 'select-service';

/** One option: what it is called, where else it may be set, what it means and which member of `Settings` it fills. */
export interface Flag {
  /** Absent for an option that only a variable sets. */
  readonly flag?: `--${string}`;
  readonly env?: string;
  /** Older names of the flag. */
  readonly aliases?: readonly `--${string}`[];
  readonly type: FlagType;
  /** Words of a choice, those of a later version among them. */
  readonly choices?: readonly string[];
  /** Smallest value of a count; 0 when absent. */
  readonly least?: number;
  readonly fallback?: string | number | boolean;
  /** How help names the default where it is not a fixed value. */
  readonly fallbackText?: string;
  /** Whether a value is understood but comes with a later version. */
  readonly later?: (value: unknown) => boolean;
  readonly help: string;
  /** Path of the member of `Settings`. */
  readonly option: string;
  readonly commands: readonly CommandName[];
}

const oneOf =
  (...words: readonly string[]) =>
  (value: unknown): boolean =>
    words.includes(String(value));
const all: readonly CommandName[] = ['serve', 'frontend', 'worker', 'router', 'mocker', 'planner', 'run'];
const models: readonly CommandName[] = ['serve', 'frontend', 'worker', 'mocker', 'run'];
const front: readonly CommandName[] = ['serve', 'frontend'];
const work: readonly CommandName[] = ['serve', 'worker'];
const apart: readonly CommandName[] = ['frontend', 'worker', 'router'];

/**
 * Every option of every command: the one table behind parsing, help and docs/cli.md.
 *
 * Names, variables and defaults are those of the real frontend 1.6.1 where it has the option; a test compares them with
 * its captured help text, and a row that departs says so.
 */
export const flags: readonly Flag[] = [
  {
    flag: '--http-host',
    env: 'DYN_HTTP_HOST',
    type: 'text',
    fallback: '0.0.0.0',
    help: 'Address that the HTTP server listens on.',
    option: 'frontend.http.host',
    commands: front,
  },
  {
    flag: '--http-port',
    env: 'DYN_HTTP_PORT',
    type: 'port',
    fallback: 8000,
    help: 'Port of the HTTP server; 0 takes a free one.',
    option: 'frontend.http.port',
    commands: front,
  },
  {
    flag: '--router-mode',
    env: 'DYN_ROUTER_MODE',
    type: 'choice',
    choices: ['round-robin', 'random', 'power-of-two', 'kv', 'direct', 'least-loaded', 'device-aware-weighted'],
    fallback: 'round-robin',
    help: 'How a worker is chosen for each request; kv sends it where its prompt is cached.',
    option: 'frontend.router.mode',
    commands: front,
  },
  ...routerFlags,
  ...serviceFlags,
  ...runFlags,
  ...replayFlags,
  ...mockerFlags,
  ...plannerFlags,
  ...upstreamFlags,
  ...llamaFlags,
  {
    flag: '--namespace',
    env: 'DYN_NAMESPACE',
    type: 'text',
    fallbackText: "frontend: all; workers: dynamo; router: the endpoint's",
    help: "Namespace: a frontend shows the models of this one only, a worker's endpoint is in it, a router serves in it.",
    option: 'namespace',
    commands: all,
  },
  {
    flag: '--namespace-prefix',
    env: 'DYN_NAMESPACE_PREFIX',
    type: 'text',
    help: 'Shows the models of every namespace that begins with this; wins over --namespace.',
    option: 'frontend.namespacePrefix',
    commands: ['frontend'],
  },
  {
    flag: '--migration-limit',
    env: 'DYN_MIGRATION_LIMIT',
    type: 'count',
    fallback: 0,
    help: 'How often a request may move to another worker when its own is lost; 0 is never.',
    option: 'frontend.migrationLimit',
    commands: front,
  },
  {
    flag: '--migration-max-seq-len',
    env: 'DYN_MIGRATION_MAX_SEQ_LEN',
    type: 'count',
    help: 'Longest request that may move, prompt and answer together, in tokens. No limit by default.',
    option: 'frontend.migrationMaxSequence',
    commands: front,
  },
  {
    flag: '--metrics-prefix',
    env: 'DYN_METRICS_PREFIX',
    type: 'text',
    fallbackText: 'dynamo_frontend',
    help: "First part of the names of the frontend's metrics.",
    option: 'frontend.metricsPrefix',
    commands: front,
  },
  {
    flag: '--interactive',
    env: 'DYN_INTERACTIVE',
    type: 'switch',
    fallback: false,
    help: 'A chat in the terminal in place of HTTP; -i says the same.',
    option: 'frontend.interactive',
    commands: ['frontend'],
  },
  {
    flag: '--kserve-grpc-server',
    env: 'DYN_KSERVE_GRPC_SERVER',
    type: 'switch',
    fallback: false,
    help: 'Speaks KServe v2 over gRPC on --http-port, for models of completions and of tensors; HTTP is then on --grpc-metrics-port.',
    option: 'frontend.kserve',
    commands: front,
  },
  {
    flag: '--grpc-metrics-port',
    env: 'DYN_GRPC_METRICS_PORT',
    type: 'port',
    fallback: 8788,
    help: 'Port of the HTTP server, with its /metrics and /health, beside a KServe gRPC server.',
    option: 'frontend.grpcMetricsPort',
    commands: front,
  },
  {
    env: 'DYN_HTTP_BODY_LIMIT_MB',
    type: 'count',
    least: 1,
    fallback: 45,
    help: 'Largest request body, in MiB.',
    option: 'frontend.bodyLimitMb',
    commands: front,
  },
  ...httpFlags,
  ...keyFlags,
  {
    flag: '--workers',
    type: 'count',
    least: 1,
    fallback: 2,
    help: 'How many worker processes to start.',
    option: 'workers',
    commands: ['serve'],
  },
  {
    flag: '--engine',
    type: 'choice',
    choices: engineNames,
    fallbackText: 'llama for a GGUF file, else echo',
    help: 'What answers the requests: echo gives the text of the user back, token by token; llama runs a GGUF file on this processor (npm install node-llama-cpp); openai asks the servers of --upstream.',
    option: 'worker.engine',
    commands: work,
  },
  {
    flag: '--model-path',
    aliases: ['--model'],
    env: 'DYN_MODEL_PATH',
    type: 'folder',
    fallbackText: 'workers: a small bundled tokenizer',
    help: 'Model folder with config.json and tokenizer.json, a GGUF file (also OWNER/NAME/FILE.gguf of a hub), or OWNER/NAME[@REVISION] of a model on the hub, which is fetched without its weights (HF_HOME, HF_ENDPOINT, HF_TOKEN and HF_HUB_OFFLINE count). A frontend reads files there that it cannot read where a worker names them.',
    option: 'modelPath',
    commands: models,
  },
  {
    flag: '--model-name',
    env: 'DYN_MODEL_NAME',
    type: 'text',
    fallbackText: 'the path as given; echo for the bundled tokenizer',
    help: 'Name that clients ask for.',
    option: 'worker.name',
    commands: [...work, 'mocker', 'run'],
  },
  {
    flag: '--custom-jinja-template',
    env: 'DYN_CUSTOM_JINJA_TEMPLATE',
    type: 'folder',
    fallbackText: "the model's own",
    help: "File with a chat template that stands in for the model's own.",
    option: 'worker.chatTemplate',
    commands: work,
  },
  {
    flag: '--endpoint',
    env: 'DYN_ENDPOINT',
    type: 'endpoint',
    fallbackText: 'NAMESPACE.backend.generate',
    help: "The worker's endpoint; dyn:// may stand before it.",
    option: 'worker.endpoint',
    commands: [...work, 'mocker'],
  },
  {
    flag: '--delay-ms',
    type: 'count',
    fallback: 20,
    help: 'Pause of the echo engine before each token, in milliseconds.',
    option: 'worker.delayMs',
    commands: [...work, 'run'],
  },
  {
    flag: '--discovery-backend',
    env: 'DYN_DISCOVERY_BACKEND',
    type: 'choice',
    choices: ['kubernetes', 'etcd', 'file', 'mem'],
    later: oneOf('kubernetes'),
    fallback: 'file',
    help: 'Where processes find each other; file uses the folder DYN_FILE_KV, by default dynamo_store_kv in the temporary folder, and etcd the servers ETCD_ENDPOINTS, by default http://localhost:2379. The real default is etcd.',
    option: 'connect.discovery',
    commands: [...apart, 'mocker', 'run'],
  },
  {
    flag: '--request-plane',
    env: 'DYN_REQUEST_PLANE',
    type: 'choice',
    choices: ['nats', 'tcp'],
    fallback: 'tcp',
    help: 'How requests travel to the workers that this process serves; a frontend follows what each worker says.',
    option: 'connect.requestPlane',
    commands: all,
  },
  {
    flag: '--response-plane',
    env: 'DYN_RESPONSE_PLANE',
    type: 'choice',
    choices: ['tcp', 'quic'],
    later: oneOf('quic'),
    fallback: 'tcp',
    help: 'How answers travel back.',
    option: 'connect.responsePlane',
    commands: all,
  },
  {
    flag: '--event-plane',
    env: 'DYN_EVENT_PLANE',
    type: 'choice',
    choices: ['nats', 'zmq'],
    fallback: 'zmq',
    help: 'How events travel.',
    option: 'connect.eventPlane',
    commands: all,
  },
  {
    env: 'DYN_GRACEFUL_SHUTDOWN_GRACE_PERIOD_SECS',
    type: 'count',
    fallback: 1,
    help: 'How long a worker that has left discovery still takes requests, in seconds. The real default is 5.',
    option: 'worker.graceSeconds',
    commands: ['worker'],
  },
  {
    env: 'DYN_LOG',
    type: 'text',
    fallback: 'info',
    help: 'Which log lines are written to stderr: a level (off, error, warn, info, debug, trace), or a list such as warn,dynamo_runtime=debug. DYN_LOGGING_JSONL=1 writes them as JSON.',
    option: 'log',
    commands: [...all, 'slot-tracker', 'indexer', 'select-service'],
  },
];
