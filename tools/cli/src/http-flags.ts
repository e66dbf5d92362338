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
  {
    env: 'DYN_HTTP_GRACEFUL_SHUTDOWN_TIMEOUT_SECS',
    type: 'count',
    fallbackText: '30',
    help: 'How long running answers may go on once the frontend has been asked to end, in seconds. What takes longer ends in an error.',
    option: 'frontend.drainSeconds',
    commands: ['serve', 'frontend'],
  },
];
