import type { CommandName, Flag } from './flags.ts';

const planner: readonly CommandName[] = ['planner'];

const row = (flag: `--${string}`, option: string, rest: Omit<Flag, 'commands' | 'flag' | 'option'>): Flag => ({
  ...rest,
  flag,
  option: `planner.${option}`,
  commands: planner,
});

/** What is planned, from what, and how it is carried out. Names and defaults follow the configuration of the real 1.6.1 planner (spec planner 2). */
export const plannerFlags: readonly Flag[] = [
  row('--mode', 'mode', {
    type: 'choice',
    choices: ['disagg', 'prefill', 'decode', 'agg'],
    fallback: 'disagg',
    help: 'Which kinds of workers are planned: those that read prompts and those that generate, one of the two, or workers that do both.',
  }),
  row('--optimization-target', 'target', {
    type: 'choice',
    choices: ['throughput', 'latency', 'load', 'sla'],
    fallback: 'throughput',
    help: 'What decides: thresholds for throughput, latency or as given (load), or what the expected traffic needs within the limits on times (sla).',
  }),
  row('--environment', 'environment', {
    type: 'choice',
    choices: ['local', 'virtual', 'kubernetes', 'global-planner'],
    fallback: 'local',
    later: (value) => value === 'kubernetes' || value === 'global-planner',
    help: 'Who carries decisions out: processes of this machine, or whoever listens to the virtual connector.',
  }),
  row('--advisory', 'advisory', { type: 'switch', fallback: false, help: 'Decides and tells, but changes nothing.' }),
  row('--min-endpoint', 'minEndpoint', { type: 'count', fallback: 1, help: 'Fewest workers of each kind.' }),
  row('--prefill-min-endpoint', 'prefillMinEndpoint', { type: 'count', help: 'Fewest workers that read prompts.' }),
  row('--decode-min-endpoint', 'decodeMinEndpoint', { type: 'count', help: 'Fewest workers that generate, or do both.' }),
  row('--max-gpu-budget', 'maxGpus', { type: 'number', fallback: 8, help: 'Most GPUs of all workers together; -1 is no limit.' }),
  row('--min-gpu-budget', 'minGpus', { type: 'number', fallback: -1, help: 'Fewest GPUs of all workers together; -1 is no limit.' }),
  row('--prefill-engine-num-gpu', 'prefillGpus', { type: 'count', least: 1, fallback: 1, help: 'GPUs of one worker that reads prompts.' }),
  row('--decode-engine-num-gpu', 'decodeGpus', { type: 'count', least: 1, fallback: 1, help: 'GPUs of one worker that generates, or does both.' }),
  row('--prefill-scale-up-queue-tokens', 'thresholds.prefillUp', {
    type: 'number',
    help: 'Target load: waiting prompt tokens of an engine that ask for more.',
  }),
  row('--prefill-scale-down-queue-tokens', 'thresholds.prefillDown', { type: 'number', help: 'Target load: as few of all engines ask for fewer.' }),
  row('--decode-scale-up-kv-rate', 'thresholds.decodeUp', { type: 'number', help: 'Target load: percent of the cache that ask for more.' }),
  row('--decode-scale-down-kv-rate', 'thresholds.decodeDown', { type: 'number', help: 'Target load: as few of all engines ask for fewer.' }),
  row('--load-adjustment-interval-seconds', 'loadSeconds', { type: 'number', fallback: 5, help: 'How often load decides.' }),
  row('--throughput-adjustment-interval-seconds', 'throughputSeconds', {
    type: 'number',
    fallback: 180,
    help: 'How often throughput decides, and the intervals of a dry run.',
  }),
  row('--max-throughput-scaling-replicas', 'mostStep', {
    type: 'count',
    least: 1,
    fallback: 8,
    help: 'Most workers that one decision adds or takes.',
  }),
  row('--ttft-ms', 'ttftMs', { type: 'number', fallback: 500, help: 'Target sla: longest time to the first token.' }),
  row('--itl-ms', 'itlMs', { type: 'number', fallback: 50, help: 'Target sla: longest time between tokens.' }),
  row('--load-predictor', 'predictor', {
    type: 'choice',
    choices: ['constant', 'kalman', 'arima', 'prophet'],
    fallback: 'kalman',
    later: (value) => value === 'prophet',
    help: 'How the traffic of the next interval is guessed; kalman answers for arima.',
  }),
  row('--load-predictor-log1p', 'logarithmic', { type: 'switch', fallback: false, help: 'Guesses the logarithm of the traffic.' }),
  row('--kalman-q-level', 'kalman.levelNoise', { type: 'number', fallback: 1, help: 'How much the level moves by itself.' }),
  row('--kalman-q-trend', 'kalman.trendNoise', { type: 'number', fallback: 0.1, help: 'How much its trend moves.' }),
  row('--kalman-r', 'kalman.measurementNoise', { type: 'number', fallback: 10, help: 'How noisy the traffic is.' }),
  row('--kalman-min-points', 'kalman.minPoints', {
    type: 'count',
    least: 1,
    fallback: 5,
    help: 'Before so many intervals the last one is the guess.',
  }),
  row('--trace', 'trace', { type: 'text', help: 'Dry run: plans for this mooncake trace and changes nothing; several files with commas between.' }),
  row('--synthetic-day', 'dayPeak', { type: 'number', help: 'Dry run: plans for a made-up day with so many requests a second at its peak.' }),
  row('--seed', 'seed', { type: 'count', fallback: 1, help: 'What settles the made-up day.' }),
  row('--extra-engine-args', 'engine', {
    type: 'text',
    help: 'Dry run: engine configuration of the workers as dynamo mocker takes it, JSON or a file with it.',
  }),
  row('--report-html', 'htmlPath', { type: 'text', help: 'Dry run: writes the plan there as one page with plots.' }),
  row('--report-json', 'jsonPath', { type: 'text', help: 'Dry run: writes every decision there as JSON.' }),
  row('--metrics-url', 'metricsUrl', { type: 'text', help: "Target sla: the frontend's page of metrics, such as http://127.0.0.1:8000/metrics." }),
  row('--prometheus-url', 'prometheusUrl', { type: 'text', help: 'Target sla: a Prometheus server that scrapes the frontends.' }),
  row('--model', 'model', { type: 'text', help: 'Target sla: counts the traffic of this model alone.' }),
  row('--prefill-endpoint', 'prefillEndpoint', {
    type: 'endpoint',
    fallbackText: "the namespace's prefill.generate",
    help: 'Where workers that read prompts serve.',
  }),
  row('--decode-endpoint', 'decodeEndpoint', {
    type: 'endpoint',
    fallbackText: "the namespace's backend.generate",
    help: 'Where workers that generate, or do both, serve.',
  }),
  row('--worker-command', 'workerCommand', {
    type: 'text',
    fallbackText: 'dynamo mocker',
    help: "Environment local: starts one worker that generates, or does both; a first word 'dynamo' is this program.",
  }),
  row('--prefill-worker-command', 'prefillCommand', {
    type: 'text',
    fallbackText: 'dynamo mocker --disaggregation-mode prefill',
    help: 'Environment local: starts one worker that reads prompts.',
  }),
  row('--drain-seconds', 'drainSeconds', {
    type: 'number',
    fallback: 60,
    help: 'Environment local: a worker that has not drained by then is killed.',
  }),
];
