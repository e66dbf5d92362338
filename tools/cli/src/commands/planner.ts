import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { engineSettings, readMockLaunch, VirtualConnectorCoordinator } from '@dynamo/internal';
import {
  checkConfig,
  type Connector,
  dryRun,
  Fleet,
  frontendTraffic,
  LocalConnector,
  type LoadThresholds,
  mockModel,
  planPage,
  type PlannerConfig,
  planSummary,
  prometheusTraffic,
  runPlanner,
  syntheticDay,
  traceWindows,
  virtualConnector,
} from '@dynamo/planner';
import { DistributedRuntime, DynamoError, type EndpointPath, type Logger } from '@dynamo/runtime';
import { watchInterruption } from '../interruption.ts';
import { openLog } from '../log.ts';
import { checkReports } from '../report-files.ts';
import type { PlannerSettings, Settings } from '../settings.ts';
import { UsageError } from '../usage.ts';
import { connectOptions } from './frontend.ts';

/** Plans on paper, or for good until asked to end; resolves with the exit code. */
export async function runPlannerCommand(settings: Settings): Promise<number> {
  const { planner } = settings;
  await checkReports({ '--report-json': planner.jsonPath, '--report-html': planner.htmlPath });
  try {
    if (planner.trace !== undefined && planner.dayPeak !== undefined) throw new UsageError('--trace and --synthetic-day exclude each other');
    if (planner.trace !== undefined || planner.dayPeak !== undefined) await planOnPaper(settings);
    else await planForGood(settings);
  } catch (error) {
    if (DynamoError.is(error, 'invalid_argument', 'not_implemented')) throw new UsageError(error.message);
    throw error;
  }
  return 0;
}

function configOf(planner: PlannerSettings): PlannerConfig {
  const { prefillUp, prefillDown, decodeUp, decodeDown } = planner.thresholds ?? {};
  const isWhole = prefillUp !== undefined && prefillDown !== undefined && decodeUp !== undefined && decodeDown !== undefined;
  const thresholds: LoadThresholds | undefined = isWhole
    ? { prefillUpTokens: prefillUp, prefillDownTokens: prefillDown, decodeUpPercent: decodeUp, decodeDownPercent: decodeDown }
    : undefined;
  const config: PlannerConfig = {
    mode: planner.mode,
    target: planner.target === 'sla' ? 'throughput' : planner.target,
    ...(thresholds === undefined ? {} : { thresholds }),
    band: { min: planner.minGpus, max: planner.maxGpus },
    floors: { prefill: planner.prefillMinEndpoint ?? planner.minEndpoint, decode: planner.decodeMinEndpoint ?? planner.minEndpoint },
  };
  checkConfig(config, gpusOf(planner));
  for (const [flag, seconds] of [
    ['--load-adjustment-interval-seconds', planner.loadSeconds],
    ['--throughput-adjustment-interval-seconds', planner.throughputSeconds],
  ] as const)
    if (!(seconds > 0)) throw new UsageError(`${flag} '${seconds}': expected a number above 0`);
  return config;
}

const gpusOf = ({ prefillGpus, decodeGpus }: PlannerSettings): { prefill: number; decode: number } => ({ prefill: prefillGpus, decode: decodeGpus });

const forecastOf = ({ predictor, logarithmic, kalman }: PlannerSettings) => ({ predictor, logarithmic, kalman });

async function planOnPaper(settings: Settings): Promise<void> {
  using log = openLog(settings);
  const { planner } = settings;
  const config = configOf(planner);
  const gpus = gpusOf(planner);
  const intervalSeconds = planner.throughputSeconds;
  const windows =
    planner.trace === undefined
      ? syntheticDay({ peakPerSecond: planner.dayPeak ?? 0, intervalSeconds, seed: planner.seed })
      : await traceWindows(planner.trace.split(','), intervalSeconds);
  const launch = await readMockLaunch(planner.engine === undefined ? {} : engineOf(planner.engine));
  const engine = engineSettings(launch.engine);
  const kvTokens = engine.blocks * engine.blockSize;
  const steps = dryRun(windows, {
    config,
    intervalSeconds,
    slas: { ttft: planner.ttftMs / 1_000, itl: planner.itlMs / 1_000 },
    gpus,
    limits: { maxBatchedTokens: engine.maxBatchedTokens, maxSequences: engine.maxSequences, maxKvTokens: kvTokens },
    model: mockModel(engine.timing, { kvTokens, speedup: engine.speedup === 0 ? 1 : engine.speedup }),
    forecast: forecastOf(planner),
    mostStep: planner.mostStep,
    warn: (text) => log.warn({}, text),
  });
  const summary = planSummary(steps, gpus);
  if (planner.htmlPath !== undefined) {
    const title = `Plan for ${planner.trace ?? `a day with ${planner.dayPeak} requests/s at its peak`}`;
    await writeFile(planner.htmlPath, planPage(steps, { title, gpus, intervalSeconds }));
  }
  if (planner.jsonPath !== undefined) await writeFile(planner.jsonPath, `${JSON.stringify({ summary, steps })}\n`);
  process.stdout.write(`${JSON.stringify(summary)}\n`);
}

function engineOf(text: string): unknown {
  try {
    return JSON.parse(text.trimStart().startsWith('{') ? text : readFileSync(text, 'utf8')) as unknown;
  } catch (error) {
    throw new UsageError(`--extra-engine-args '${text}': ${error instanceof Error ? error.message : String(error)}`);
  }
}

async function planForGood(settings: Settings): Promise<void> {
  using log = openLog(settings);
  const { planner } = settings;
  const config = configOf(planner);
  const throughput = planner.target === 'sla' ? { source: sourceOf(planner, settings) } : undefined;
  using interruption = watchInterruption();
  await using stack = new AsyncDisposableStack();
  const runtime = stack.use(await DistributedRuntime.connect({ ...connectOptions(settings), log }));
  const gpus = gpusOf(planner);
  const namespace = settings.namespace ?? 'dynamo';
  const isAgg = planner.mode === 'agg';
  const prefillPath = (planner.prefillEndpoint ?? `${namespace}.prefill.generate`) as EndpointPath;
  const decodePath = (planner.decodeEndpoint ?? `${namespace}.backend.generate`) as EndpointPath;
  const fleets = {
    ...(planner.mode === 'disagg' || planner.mode === 'prefill'
      ? { prefill: stack.use(await Fleet.open(runtime, prefillPath, { kind: 'prefill', gpus: gpus.prefill })) }
      : {}),
    ...(planner.mode === 'prefill'
      ? {}
      : { decode: stack.use(await Fleet.open(runtime, decodePath, { kind: isAgg ? 'agg' : 'decode', gpus: gpus.decode })) }),
  };
  const connector = stack.use(await connectorOf(settings, { runtime, namespace, log }));
  process.stdout.write(`Dynamo planner: plans ${planner.mode} workers in ${namespace}, ${planner.advisory ? 'advisory' : planner.environment}.\n`);
  const stop = new AbortController();
  void Promise.race([interruption.asked, runtime.closed]).then(() => stop.abort());
  await runPlanner(
    {
      config,
      connector,
      fleets,
      gpus,
      advisory: planner.advisory,
      log,
      ...(throughput === undefined
        ? { loadSeconds: planner.loadSeconds }
        : {
            throughput: {
              ...throughput,
              seconds: planner.throughputSeconds,
              slas: { ttft: planner.ttftMs / 1_000, itl: planner.itlMs / 1_000 },
              forecast: forecastOf(planner),
              mostStep: planner.mostStep,
            },
          }),
      onDecision: (decision) => void process.stdout.write(`${JSON.stringify(decision, rounded)}\n`),
    },
    { signal: stop.signal },
  );
}

/** Figures of a decision with as many digits as anybody reads. */
const rounded = (_key: string, value: unknown): unknown =>
  typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(6)) : value;

function sourceOf({ metricsUrl, prometheusUrl, model, throughputSeconds }: PlannerSettings, { namespace }: Settings) {
  const filter = { ...(model === undefined ? {} : { model }), ...(namespace === undefined ? {} : { namespace }) };
  if ((metricsUrl === undefined) === (prometheusUrl === undefined)) throw new UsageError('the target sla needs --metrics-url or --prometheus-url');
  return metricsUrl === undefined ? prometheusTraffic(prometheusUrl ?? '', throughputSeconds, filter) : frontendTraffic(metricsUrl, filter);
}

async function connectorOf(
  settings: Settings,
  { runtime, namespace, log }: { readonly runtime: DistributedRuntime; readonly namespace: string; readonly log: Logger },
): Promise<Connector> {
  const { planner } = settings;
  if (planner.environment === 'virtual') {
    const coordinator = await VirtualConnectorCoordinator.open(runtime, { namespace });
    const connector = virtualConnector(coordinator);
    return {
      ...connector,
      get wanted() {
        return connector.wanted;
      },
      [Symbol.asyncDispose]: () => coordinator[Symbol.asyncDispose](),
    };
  }
  return new LocalConnector({
    commands: {
      prefill: commandOf('--prefill-worker-command', planner.prefillCommand ?? 'dynamo mocker --disaggregation-mode prefill'),
      decode: commandOf('--worker-command', planner.workerCommand ?? 'dynamo mocker'),
    },
    env: { ...process.env, DYN_NAMESPACE: namespace },
    drainMs: planner.drainSeconds * 1_000,
    log,
  });
}

/** The words of a command; quotes keep words together, and `dynamo` is this program. */
function commandOf(flag: string, text: string): readonly string[] {
  const words = [...text.matchAll(/"([^"]*)"|'([^']*)'|(\S+)/g)].map(([, double, single, plain]) => double ?? single ?? plain ?? '');
  const [program, ...args] = words;
  if (program === undefined) throw new UsageError(`${flag} '${text}': expected a program and its arguments`);
  if (program !== 'dynamo') return words;
  return [process.execPath, ...process.execArgv, fileURLToPath(new URL('../main.ts', import.meta.url)), ...args];
}
