import { DynamoError } from '@dynamo/runtime';

/** Where each route is unless it is renamed (spec llm 3.1). */
const usualPaths = {
  chat: '/v1/chat/completions',
  completions: '/v1/completions',
  embeddings: '/v1/embeddings',
  classify: '/v1/classify',
  pooling: '/v1/pooling',
  rerank: '/v1/rerank',
  responses: '/v1/responses',
  messages: '/v1/messages',
  realtime: '/v1/realtime',
  models: '/v1/models',
  health: '/health',
  live: '/live',
  metrics: '/metrics',
  busyThreshold: '/busy_threshold',
  openapi: '/openapi.json',
  docs: '/docs',
} as const;

/** The paths of all routes. */
export type RoutePaths = Readonly<Record<keyof typeof usualPaths, string>>;

/** What an operator may change of the HTTP routes; every member is optional. */
export interface HttpOptions {
  /** Other paths for routes; the usual path is then unknown. */
  paths?: {
    [
      K in 'chat' | 'completions' | 'embeddings' | 'classify' | 'pooling' | 'responses' | 'messages' | 'models' | 'health' | 'live' | 'metrics'
    ]?: string;
  };
  /** Whether `/busy_threshold` is there; default true. */
  admin?: boolean;
  /** Whether `nvext` and the routing headers have an effect; default true. */
  nvext?: boolean;
  /** Comment in event streams after so many milliseconds without an event; none by default. */
  keepAliveMs?: number;
  /** How long an event stream waits for a worker's early error, in milliseconds, so that it can be a status; by default such errors are events. */
  errorPeekMs?: number;
  /** What a thought's member of a chat answer is called; default `reasoning_content`. */
  reasoningField?: 'reasoning_content' | 'reasoning';
  /** Events of their own in chat streams: for each call that is complete, and for each thought that has ended. None by default. */
  dispatch?: { calls?: boolean; thoughts?: boolean };
  /**
   * Anthropic's Messages API at `/v1/messages`; not there by default, as in 1.6.1. `stripPreamble` takes the billing line out that
   * coding assistants put before their system prompt, since it would spoil every cached prefix; default true.
   */
  messages?: { enabled?: boolean; stripPreamble?: boolean };
  /**
   * Where answers of `/v1/responses` are kept for `previous_response_id`: `memory` by default, `file` for a folder that several
   * processes share, `none` to refuse it as 1.6.1 does. The longest unused go first beyond `limitMb`, 64 in memory and 1 024 in files.
   */
  responses?: { store?: 'memory' | 'file' | 'none'; folder?: string; limitMb?: number };
}

/** The same settled. */
export interface HttpSettings extends Required<Pick<HttpOptions, 'admin' | 'nvext' | 'reasoningField' | 'dispatch'>> {
  readonly paths: RoutePaths;
  readonly messages: { readonly enabled: boolean; readonly stripPreamble: boolean };
  readonly keepAliveMs: number | undefined;
  readonly errorPeekMs: number | undefined;
}

/**
 * Settles the options of the HTTP routes.
 *
 * @throws DynamoError `invalid_argument` for a path without its slash, or one that two routes have.
 */
export function settleHttp(options: HttpOptions = {}): HttpSettings {
  const { paths = {}, admin = true, nvext = true, keepAliveMs, errorPeekMs, reasoningField = 'reasoning_content', dispatch = {} } = options;
  const given = Object.entries(paths).filter((entry): entry is [string, string] => typeof entry[1] === 'string' && entry[1] !== '');
  const settled = { ...usualPaths, ...Object.fromEntries(given) } as RoutePaths;
  const seen = new Map<string, string>();
  for (const [name, path] of Object.entries(settled)) {
    if (!/^\/[^?#*:\s]*$/.test(path)) throw invalid(`http.paths.${name} must begin with a slash and be a plain path, got '${path}'`);
    const other = seen.get(path);
    if (other !== undefined) throw invalid(`http.paths: ${other} and ${name} have the same path '${path}'`);
    seen.set(path, name);
  }
  for (const [name, value] of Object.entries({ keepAliveMs, errorPeekMs })) {
    if (value !== undefined && !(Number.isSafeInteger(value) && value > 0))
      throw invalid(`http.${name} must be a whole number above 0, got ${value}`);
  }
  const messages = { enabled: options.messages?.enabled ?? false, stripPreamble: options.messages?.stripPreamble ?? true };
  return { paths: settled, admin, nvext, messages, keepAliveMs, errorPeekMs, reasoningField, dispatch };
}

const invalid = (message: string): DynamoError => new DynamoError('invalid_argument', message);
