import type { CommandName, Flag } from './flags.ts';

const both: readonly CommandName[] = ['worker', 'frontend'];

const row = (
  flag: `--${string}` | undefined,
  option: string,
  rest: Omit<Flag, 'commands' | 'flag' | 'option'> & { commands?: readonly CommandName[] },
): Flag => ({
  commands: both,
  ...rest,
  ...(flag === undefined ? {} : { flag }),
  option: `upstream.${option}`,
});

const events = "ZMQ address at which the upstream publishes the events of its cache, one for each upstream in order, '-' for none.";

/** OpenAI servers that become workers: what the real commands do not have. */
export const upstreamFlags: readonly Flag[] = [
  row('--upstream', 'urls', {
    env: 'DYN_UPSTREAM',
    type: 'list',
    help: 'Base address of an OpenAI server (vLLM, SGLang, llama.cpp) to use as a worker; may be given several times. A frontend that is given some needs no discovery.',
  }),
  row('--kv-events', 'kvEvents', { type: 'list', help: events, commands: ['worker'] }),
  row('--upstream-kv-events', 'kvEvents', { type: 'list', help: events, commands: ['frontend'] }),
  row('--upstream-input', 'input', {
    type: 'choice',
    choices: ['tokens', 'text'],
    fallbackText: 'tokens where the model folder is at hand',
    help: "What upstreams get: prompts as token ids, or the client's own request.",
  }),
  row('--upstream-block-size', 'blockSize', {
    type: 'count',
    least: 1,
    fallbackText: 'what its metrics say, or 16',
    help: 'Tokens of one KV block of an upstream.',
  }),
  row('--upstream-probe-seconds', 'probeSeconds', { type: 'number', fallback: 2, help: 'Time between two looks at the health of an upstream.' }),
  row('--upstream-idle-seconds', 'idleSeconds', {
    type: 'number',
    fallback: 120,
    help: 'Longest silence of an answer of an upstream before it counts as stalled.',
  }),
  row(undefined, 'key', { env: 'DYN_UPSTREAM_API_KEY', type: 'text', help: 'Sent to upstreams as a bearer token.' }),
];
