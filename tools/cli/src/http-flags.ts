import type { Flag } from './flags.ts';

type Row = Pick<Flag, 'help'> & Partial<Pick<Flag, 'least' | 'fallbackText'>>;

/** A limit of the HTTP server that a variable sets; absent it is the library's default, which the help names. */
const limit = (env: string, option: string, row: Row): Flag => ({
  env,
  type: 'count',
  least: 1,
  option: `frontend.limits.${option}`,
  commands: ['serve', 'frontend'],
  ...row,
});

/** A route that the same variable renames in the real frontend. */
const path = (env: string, route: string, usual: string): Flag => ({
  env: `DYN_HTTP_SVC_${env}_PATH`,
  type: 'text',
  fallbackText: usual,
  help: `Path of the route ${usual}; the usual one is then unknown.`,
  option: `frontend.http.paths.${route}`,
  commands: ['serve', 'frontend'],
});

const paths: readonly Flag[] = [
  path('CHAT', 'chat', '/v1/chat/completions'),
  path('CMP', 'completions', '/v1/completions'),
  path('EMB', 'embeddings', '/v1/embeddings'),
  path('CLASSIFY', 'classify', '/v1/classify'),
  path('POOLING', 'pooling', '/v1/pooling'),
  path('RESPONSES', 'responses', '/v1/responses'),
  path('ANTHROPIC', 'messages', '/v1/messages'),
  path('MODELS', 'models', '/v1/models'),
  path('HEALTH', 'health', '/health'),
  path('LIVE', 'live', '/live'),
  path('METRICS', 'metrics', '/metrics'),
];

/** What the real frontend calls a switch that takes something away. */
const off = (env: string, option: string, help: string): Flag => ({
  env: `DYN_DISABLE_FRONTEND_${env}`,
  type: 'switch',
  fallbackText: 'false',
  help,
  option: `frontend.without.${option}`,
  commands: ['serve', 'frontend'],
});

const waits = (env: string, option: string, help: string): Flag => ({
  env,
  type: 'count',
  least: 1,
  help,
  option: `frontend.http.${option}`,
  commands: ['serve', 'frontend'],
});

/** Thresholds beyond which a worker gets no more requests. */
const busy = (name: string, option: string, row: Pick<Flag, 'type' | 'help'>): Flag => ({
  flag: `--active-${name}`,
  env: `DYN_ACTIVE_${name.replaceAll('-', '_').toUpperCase()}`,
  option: `frontend.router.overload.${option}`,
  commands: ['serve', 'frontend'],
  ...row,
});

/** The HTTP server's options beside its address: rows of the flag table. */
export const httpFlags: readonly Flag[] = [
  limit('DYN_HTTP_MAX_CONCURRENT_REQUESTS', 'concurrent', { help: 'How many requests are answered at once, in each process. No limit by default.' }),
  limit('DYN_HTTP_MAX_QUEUED_REQUESTS', 'queued', {
    least: 0,
    fallbackText: 'as many',
    help: 'How many requests may wait while DYN_HTTP_MAX_CONCURRENT_REQUESTS are answered; the next one is refused.',
  }),
  limit('DYN_HTTP_QUEUE_TIMEOUT_SECS', 'queueSeconds', { fallbackText: '60', help: 'How long a request may wait there, in seconds.' }),
  limit('DYN_HTTP_OVERLOAD_STATUS_CODE', 'overloadStatus', {
    least: 400,
    fallbackText: '529',
    help: 'Status of a refusal for overload, of the frontend or of its workers.',
  }),
  limit('DYN_HTTP_BODIES_LIMIT_MB', 'bodiesMb', { fallbackText: '1024', help: 'The bodies of all running requests together, in MiB.' }),
  limit('DYN_HTTP_REQUEST_TIMEOUT_SECS', 'requestSeconds', {
    fallbackText: '120',
    help: 'How long a client may take to send a request, in seconds.',
  }),
  limit('DYN_HTTP_READER_TIMEOUT_SECS', 'readerSeconds', {
    fallbackText: '120',
    help: 'How long a client may take nothing of its stream while there is something to take, in seconds.',
  }),
  limit('DYN_HTTP_BACKEND_STREAM_TIMEOUT_SECS', 'idleSeconds', { help: 'How long a worker may send nothing, in seconds. No limit by default.' }),
  limit('DYN_HTTP_FIRST_TOKEN_TIMEOUT_SECS', 'firstItemSeconds', {
    fallbackText: 'DYN_HTTP_BACKEND_STREAM_TIMEOUT_SECS',
    help: "How long a worker's first token may take, in seconds.",
  }),
  ...(
    [
      [
        '--tls-cert-path',
        'DYN_TLS_CERT_PATH',
        'certPath',
        'Certificate of the HTTPS server, PEM. With it and its key the server speaks HTTPS, HTTP/2 or 1.1.',
      ],
      ['--tls-key-path', 'DYN_TLS_KEY_PATH', 'keyPath', 'Key of the certificate, PEM.'],
      ['--tls-client-ca-cert-path', 'DYN_TLS_CLIENT_CA_CERT_PATH', 'clientCaPath', 'Authority whose certificate every client must show, PEM.'],
    ] as const
  ).map(([flag, env, option, help]): Flag => ({ flag, env, type: 'text', help, option: `frontend.tls.${option}`, commands: ['serve', 'frontend'] })),
  {
    flag: '--api-keys-path',
    env: 'DYN_HTTP_API_KEYS_PATH',
    type: 'text',
    help: "File of hashed API keys, made with 'dynamo keys' and read again when it changes. With it every route but /live and /health asks for a key.",
    option: 'frontend.keysPath',
    commands: ['serve', 'frontend'],
  },
  {
    flag: '--admin-api',
    env: 'DYN_HTTP_ADMIN_API',
    type: 'choice',
    choices: ['guarded', 'open'],
    fallback: 'guarded',
    help: 'Whether /busy_threshold asks for an API key with admin rights, or is open to everybody as in the real frontend.',
    option: 'frontend.admin',
    commands: ['serve', 'frontend'],
  },
  {
    flag: '--http-workers',
    env: 'DYN_HTTP_WORKERS',
    type: 'countOrAuto',
    least: 1,
    fallback: 1,
    help: 'How many frontend processes share the port, one a core with auto. One that dies is started again; /metrics adds them up.',
    option: 'frontend.httpWorkers',
    commands: ['frontend'],
  },
  {
    flag: '--http-reuse-port',
    env: 'DYN_HTTP_REUSE_PORT',
    type: 'switch',
    fallback: false,
    help: 'Listens on a port beside others that do so, too: a new frontend can take the place of an old one without a gap.',
    option: 'frontend.reusePort',
    commands: ['serve', 'frontend'],
  },
  {
    env: 'DYN_HTTP_GRACEFUL_SHUTDOWN_TIMEOUT_SECS',
    type: 'count',
    fallbackText: '30',
    help: 'How long running answers may go on once the frontend has been asked to end, in seconds. What takes longer ends in an error.',
    option: 'frontend.drainSeconds',
    commands: ['serve', 'frontend'],
  },
  ...paths,
  off('ADMIN_API', 'admin', 'Takes /busy_threshold away.'),
  off('NVEXT', 'nvext', 'Takes every effect from nvext and from the headers that name instances and ranks; nvext is still checked.'),
  waits(
    'DYN_HTTP_SSE_KEEP_ALIVE_INTERVAL_MS',
    'keepAliveMs',
    'Comment in an event stream after so many milliseconds without an event. None by default.',
  ),
  waits(
    'DYN_HTTP_PRE_COMMIT_ERROR_PEEK_MS',
    'errorPeekMs',
    "How long an event stream waits for a worker's early error, in milliseconds, so that it can be a status. By default such an error is an event.",
  ),
  busy('decode-blocks-threshold', 'decodeBlocks', {
    type: 'number',
    help: "Part of a worker's KV blocks, 0 to 1: one that uses more of them gets no requests. Off by default.",
  }),
  busy('prefill-tokens-threshold', 'prefillTokens', {
    type: 'count',
    help: 'Prompt tokens: a worker that reads more of them at once gets no requests. Off by default.',
  }),
  busy('prefill-tokens-threshold-frac', 'prefillFraction', {
    type: 'number',
    help: 'The same as part of the tokens that a worker takes in a step. Off by default.',
  }),
  {
    flag: '--enable-streaming-tool-dispatch',
    env: 'DYN_ENABLE_STREAMING_TOOL_DISPATCH',
    type: 'switch',
    fallback: false,
    help: 'Sends an event tool_call_dispatch in chat streams for each tool call as soon as it is complete.',
    option: 'frontend.http.dispatch.calls',
    commands: ['serve', 'frontend'],
  },
  {
    flag: '--enable-streaming-reasoning-dispatch',
    env: 'DYN_ENABLE_STREAMING_REASONING_DISPATCH',
    type: 'switch',
    fallback: false,
    help: 'Sends an event reasoning_dispatch in chat streams with the whole thought once it has ended.',
    option: 'frontend.http.dispatch.thoughts',
    commands: ['serve', 'frontend'],
  },
  {
    flag: '--reasoning-field-name',
    env: 'DYN_REASONING_FIELD_NAME',
    type: 'choice',
    choices: ['reasoning_content', 'reasoning'],
    fallback: 'reasoning_content',
    help: "What a thought's member of a chat answer is called.",
    option: 'frontend.http.reasoningField',
    commands: ['serve', 'frontend'],
  },
  {
    flag: '--enable-anthropic-api',
    env: 'DYN_ENABLE_ANTHROPIC_API',
    type: 'switch',
    fallback: false,
    help: "Serves Anthropic's Messages API at /v1/messages, with its count of tokens and its form of /v1/models.",
    option: 'frontend.http.messages.enabled',
    commands: ['serve', 'frontend'],
  },
  {
    flag: '--strip-anthropic-preamble',
    env: 'DYN_STRIP_ANTHROPIC_PREAMBLE',
    type: 'switch',
    fallback: true,
    help: 'Takes the billing line out that coding assistants put before their system prompt: it would spoil every cached prefix.',
    option: 'frontend.http.messages.stripPreamble',
    commands: ['serve', 'frontend'],
  },
  {
    flag: '--responses-store',
    env: 'DYN_RESPONSES_STORE',
    type: 'choice',
    choices: ['memory', 'file', 'none'],
    fallback: 'memory',
    help: 'Where answers of /v1/responses are kept for previous_response_id; none refuses it, as the real frontend does.',
    option: 'frontend.http.responses.store',
    commands: ['serve', 'frontend'],
  },
  {
    flag: '--responses-folder',
    env: 'DYN_RESPONSES_FOLDER',
    type: 'text',
    help: 'Folder of the kept answers, which several processes may share; only with --responses-store file.',
    option: 'frontend.http.responses.folder',
    commands: ['serve', 'frontend'],
  },
  {
    flag: '--responses-limit-mb',
    env: 'DYN_RESPONSES_LIMIT_MB',
    type: 'count',
    least: 1,
    fallbackText: '64 in memory, 1024 in files',
    help: 'How much of them is kept, in MiB; the longest unused go first.',
    option: 'frontend.http.responses.limitMb',
    commands: ['serve', 'frontend'],
  },
];
