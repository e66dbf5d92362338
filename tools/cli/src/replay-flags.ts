import type { CommandName, Flag } from './flags.ts';

const replay: readonly CommandName[] = ['replay'];

const row = (flag: `--${string}`, option: string, rest: Omit<Flag, 'commands' | 'flag' | 'option'>): Flag => ({
  ...rest,
  flag,
  option: `replay.${option}`,
  commands: replay,
});

/** What is replayed, over what, and how it is reported. Names follow the arguments of the real 1.6.1 replay. */
export const replayFlags: readonly Flag[] = [
  row('--trace', 'trace', { type: 'text', help: 'Mooncake trace files, one JSON object a line; several with commas between.' }),
  row('--trace-block-size', 'traceBlockSize', { type: 'count', least: 1, fallback: 512, help: 'Tokens that one hash id of the trace stands for.' }),
  row('--input-tokens', 'synthetic.inputTokens', {
    type: 'count',
    least: 1,
    help: 'Makes the workload up in place of a trace: tokens of each prompt.',
  }),
  row('--output-tokens', 'synthetic.outputTokens', { type: 'count', least: 1, help: 'Tokens of each made-up answer.' }),
  row('--request-count', 'synthetic.requests', { type: 'count', least: 1, help: 'How many sessions are made up.' }),
  row('--request-rate', 'synthetic.ratePerSecond', { type: 'number', help: 'Made-up sessions arrive at random, this many a second.' }),
  row('--arrival-interval-ms', 'synthetic.intervalMs', { type: 'number', help: 'Made-up sessions arrive at equal distances.' }),
  row('--arrival-seed', 'synthetic.seed', { type: 'count', help: 'Where the chance of arrivals begins; 42 by default.' }),
  row('--turns-per-session', 'synthetic.turns', { type: 'count', least: 1, help: 'Requests of each made-up session; 1 by default.' }),
  row('--inter-turn-delay-ms', 'synthetic.turnDelayMs', { type: 'number', help: 'Pause before each later turn.' }),
  row('--shared-prefix-ratio', 'synthetic.sharedPrefix', {
    type: 'number',
    help: 'Part of each made-up prompt that others of its group share, 0 to 1.',
  }),
  row('--num-prefix-groups', 'synthetic.groups', { type: 'count', help: 'How many such groups there are.' }),
  row('--extra-engine-args', 'engine', { type: 'text', help: 'Engine configuration of all workers: JSON, or a file with it.' }),
  row('--prefill-engine-args', 'prefillEngine', { type: 'text', help: 'The same of workers that only read prompts.' }),
  row('--decode-engine-args', 'decodeEngine', { type: 'text', help: 'The same of workers that only generate.' }),
  row('--num-workers', 'workers', { type: 'count', least: 1, help: 'How many workers are simulated; 1 by default.' }),
  row('--num-prefill-workers', 'prefillWorkers', { type: 'count', least: 1, help: 'How many of them only read prompts.' }),
  row('--num-decode-workers', 'decodeWorkers', { type: 'count', least: 1, help: 'How many of them only generate.' }),
  row('--router-mode', 'placement', {
    env: 'DYN_ROUTER_MODE',
    type: 'choice',
    choices: ['round-robin', 'kv'],
    fallback: 'round-robin',
    help: 'How a worker is chosen for each request; the other router options count in mode kv.',
  }),
  row('--kv-event-lag-ms', 'eventLagMs', { type: 'number', help: 'How late the router hears of changes of caches.' }),
  row('--replay-concurrency', 'concurrency', { type: 'count', help: 'Keeps this many sessions running and ignores when they arrive.' }),
  row('--arrival-speedup-ratio', 'arrivalSpeedup', { type: 'number', help: 'Requests arrive this much faster.' }),
  row('--sla-ttft-ms', 'sla.ttftMs', { type: 'number', help: 'Longest time to the first token of a good answer.' }),
  row('--sla-itl-ms', 'sla.itlMs', { type: 'number', help: 'Longest mean time between its tokens.' }),
  row('--sla-e2e-ms', 'sla.e2eMs', { type: 'number', help: 'Longest time of a whole good request.' }),
  row('--max-sim-time-ms', 'untilMs', { type: 'number', help: 'Ends the run at this time of the simulation.' }),
  row('--seed', 'seed', { type: 'count', help: "Where the router's chance begins: equal seeds give equal runs." }),
  row('--capture-per-request', 'perRequest', { type: 'switch', fallback: false, help: 'Puts every request into the JSON report.' }),
  row('--format', 'format', { type: 'choice', choices: ['table', 'json'], fallback: 'table', help: 'What is written to stdout.' }),
  row('--report-json', 'jsonPath', { type: 'text', help: 'Writes the report there as JSON.' }),
  row('--report-jsonl', 'jsonlPath', { type: 'text', help: 'Writes every request there as a line of JSON as soon as it has ended.' }),
  row('--report-html', 'htmlPath', { type: 'text', help: 'Writes the report there as one page with plots.' }),
  row('--sweep', 'sweep', {
    type: 'text',
    help: "Runs all combinations of what is varied and ranks them: 'workers=2,4;placement=round-robin,kv;engine.block_size=16,64;router.overlap_credit=0,1'.",
  }),
  row('--rank-by', 'rankBy', { type: 'text', fallback: 'mean_ttft_ms', help: 'Figure of the summary that ranks a sweep.' }),
  row('--threads', 'threads', { type: 'count', least: 1, fallbackText: 'all cores', help: 'How many combinations run at once.' }),
  row('--url', 'url', { type: 'text', help: 'Replays against the frontend at this address in place of simulated workers.' }),
  row('--model', 'model', { type: 'text', help: 'The model to ask there; by default its first.' }),
];
