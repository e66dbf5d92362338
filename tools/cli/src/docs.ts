import { type Flag, flags } from './flags.ts';
import { available } from './flag-types.ts';
import { commands, defaultOf } from './program.ts';

/** Text of docs/cli.md: written from the flag table, and compared with the page by a test. */
export function cliPage(): string {
  return `# The dynamo command

\`npm start\` runs \`dynamo serve\`. Options follow two dashes: \`npm start -- --http-port 9000\`. In this repository the other commands are \`npm start -- frontend\` and \`npm start -- worker\`.

A flag wins over its variable, an empty variable counts as unset, and then the default holds. Names and defaults are those of the real 1.6.1 commands where these have the option. This page is written from \`tools/cli/src/flags.ts\`.

${Object.entries(commands)
  .map(([name, { summary }]) => `- \`dynamo ${name}\`: ${summary}`)
  .join('\n')}

| flag | variable | type | default | commands | option | meaning |
|---|---|---|---|---|---|---|
${flags.map(row).join('\n')}

Flags of the real frontend that are missing here are known: using one ends in the line "is not available in this version". The runtime reads more variables, such as \`DYN_FILE_KV\`, \`DYN_TCP_RPC_HOST\` and \`DYN_SYSTEM_PORT\`.

## serve

A frontend in this process and \`--workers\` worker processes, which find each other through files in a fresh temporary folder that goes when it ends. The planes between them listen on 127.0.0.1 unless \`DYN_TCP_RPC_HOST\` or \`DYN_TCP_RESPONSE_STREAM_HOST\` is set. A worker that dies is started again, after half a second and then after twice the wait each time; after five ends in a row, each within ten seconds of its start, the command gives up. What it has to say when all is up goes to stdout, everything else to stderr.

## Several frontend processes

\`dynamo frontend --http-workers N\` (or \`auto\`, one a core) runs N processes that listen on the same port; the kernel gives each new connection to one of them. The command itself only starts them, connects them and starts one that dies again, after half a second and then after twice the wait each time. Between them travel: what API keys have spent (within a tenth of a second), what \`POST /busy_threshold\` changes, and, with the KV router, what each routes. Whichever process answers \`/metrics\` gives the figures of all: counters and histograms are sums, gauges of what a process has of its own (requests, clients, memory, file descriptors) too, other gauges are the largest. A process that dies takes its counts with it, as a restart does. Limits such as DYN_HTTP_MAX_CONCURRENT_REQUESTS hold in each process. They open no status server (DYN_SYSTEM_PORT).

\`--http-reuse-port\` lets a frontend listen beside others: start a new one on the port, wait until it has its models, then send SIGTERM to the old one.

## Asking without HTTP

\`dynamo run\` (and \`dynamo frontend --interactive\`) asks the models that discovery shows, or with \`--engine\` an engine of its own process, through the same pipeline as the frontend's routes.

- \`--in text\`, the default on a terminal: a chat. Answers appear as they come. Ctrl-C ends the answer that runs; once more, or while nothing runs, it ends the chat, and so does Ctrl-D.
- \`--in stdin\`, the default elsewhere: all of the standard input is one prompt; the answer goes to the standard output.
- \`--in batch:FILE.jsonl\`: a request a line, \`{"text": "…"}\`, an OpenAI request with \`messages\` or \`prompt\`, or an entry of OpenAI's batches with \`custom_id\`, \`url\` and \`body\`. The answers are lines in the same order: the request with \`response\`, \`tokens_in\`, \`tokens_out\`, \`elapsed_ms\`, \`ttft_ms\` and \`finish_reason\`, or with \`error\`; for entries of OpenAI's batches an entry of their output. A run that was cut off (Ctrl-C, exit code 130) goes on where its output ends. The exit code is 1 where a request has failed. 1.6.1 has no batches: these are those of its forerunner.

## Ending

SIGINT (Ctrl-C) and SIGTERM withdraw, refuse new requests, let running ones go on to their end, and exit with 0. A second signal, half a second or more after the first, ends at once with 130.

| exit code | meaning |
|---|---|
| 0 | ended as asked |
| 1 | failed while running |
| 2 | a flag, a variable, a command, a model folder or a port can't be used; one line on stderr says which |
| 130 | ended at once by a second signal |
`;
}

function row(flag: Flag): string {
  const later = (flag.choices ?? []).filter((word) => flag.later?.(word) === true);
  const meaning = [
    flag.help,
    ...(flag.choices === undefined ? [] : [`Words: ${available(flag).join(', ')}.`]),
    ...(later.length === 0 ? [] : [`Not in this version: ${later.join(', ')}.`]),
    ...(flag.type === 'switch' && flag.later !== undefined ? ['Not in this version.'] : []),
  ].join(' ');
  const cells = [code(flag.flag), code(flag.env), flag.type, defaultOf(flag), flag.commands.join(', '), `\`${flag.option}\``, meaning];
  return `| ${cells.join(' | ')} |`;
}

const code = (text: string | undefined): string => (text === undefined ? '' : `\`${text}\``);
