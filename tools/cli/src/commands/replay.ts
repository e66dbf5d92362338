import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { createWriteStream } from 'node:fs';
import { finished } from 'node:stream/promises';
import {
  htmlOf,
  Progress,
  rankingOf,
  ranked,
  type ReplayOptions,
  replayOffline,
  replayOnline,
  summaryOf,
  sweep,
  tableOf,
  variantsOf,
  workloadOf,
} from '@dynamo/replay';
import { DynamoError } from '@dynamo/runtime';
import { checkReports } from '../report-files.ts';
import { routerSettings } from '../router-options.ts';
import type { ReplaySettings, Settings } from '../settings.ts';
import { UsageError } from '../usage.ts';

/** Replays a workload over simulated workers, or against a frontend; resolves with the exit code. */
export async function runReplay(settings: Settings): Promise<number> {
  const { replay } = settings;
  const options = optionsOf(settings, replay);
  await checkReports({ '--report-json': replay.jsonPath, '--report-jsonl': replay.jsonlPath, '--report-html': replay.htmlPath });
  try {
    if (replay.sweep !== undefined) await runSweep(options, replay, replay.sweep);
    else if (replay.url !== undefined) await runOnline(options, replay, replay.url);
    else await runOffline(options, replay);
  } catch (error) {
    // A trace or a configuration that can't be used: one line says which, as for any flag.
    if (DynamoError.is(error, 'invalid_argument')) throw new UsageError(error.message);
    throw error;
  }
  return 0;
}

function optionsOf(settings: Settings, replay: ReplaySettings): ReplayOptions {
  const { synthetic = {}, trace } = replay;
  const { inputTokens, outputTokens, requests, ...more } = synthetic;
  const isMadeUp = inputTokens !== undefined || outputTokens !== undefined || requests !== undefined;
  if (isMadeUp && (inputTokens === undefined || outputTokens === undefined || requests === undefined))
    throw new UsageError('a made-up workload needs --input-tokens, --output-tokens and --request-count');
  if (isMadeUp === (trace !== undefined)) throw new UsageError('a replay needs --trace, or --input-tokens, --output-tokens and --request-count');
  return {
    ...(trace === undefined ? {} : { trace: trace.split(',').map((file) => file.trim()) }),
    ...(isMadeUp ? { synthetic: { ...more, inputTokens, outputTokens, requests } as NonNullable<ReplayOptions['synthetic']> } : {}),
    traceBlockSize: replay.traceBlockSize,
    ...(replay.engine === undefined ? {} : { engine: configOf(replay.engine) }),
    ...(replay.prefillEngine === undefined ? {} : { prefillEngine: configOf(replay.prefillEngine) }),
    ...(replay.decodeEngine === undefined ? {} : { decodeEngine: configOf(replay.decodeEngine) }),
    workers: replay.workers,
    prefillWorkers: replay.prefillWorkers,
    decodeWorkers: replay.decodeWorkers,
    placement: replay.placement,
    router: { settings: routerSettings(settings) },
    eventLagMs: replay.eventLagMs,
    concurrency: replay.concurrency,
    arrivalSpeedup: replay.arrivalSpeedup,
    sla: replay.sla,
    untilMs: replay.untilMs,
    seed: replay.seed,
    perRequest: replay.perRequest,
    achievable: replay.htmlPath !== undefined,
  };
}

/** JSON as it stands, or out of a file. */
function configOf(text: string): string {
  if (text.trimStart().startsWith('{')) return text;
  try {
    return readFileSync(text, 'utf8');
  } catch (error) {
    throw new UsageError(`engine configuration '${text}': ${error instanceof Error ? error.message : String(error)}`);
  }
}

async function runOffline(options: ReplayOptions, replay: ReplaySettings): Promise<void> {
  const progress = new Progress('replay');
  const lines = replay.jsonlPath === undefined ? undefined : createWriteStream(replay.jsonlPath);
  const failed = lines === undefined ? undefined : finished(lines);
  failed?.catch(() => {});
  const result = await replayOffline(options, {
    onEnded: (done, total) => progress.at(done, total),
    ...(lines === undefined ? {} : { onRecord: (record) => void lines.write(`${JSON.stringify(record)}\n`) }),
  });
  progress.end();
  lines?.end();
  await failed;
  if (replay.jsonPath !== undefined) await writeFile(replay.jsonPath, `${JSON.stringify(result.report)}\n`);
  if (replay.htmlPath !== undefined) await writeFile(replay.htmlPath, htmlOf(result, `Replay of ${titleOf(replay)}`));
  process.stdout.write(replay.format === 'json' ? `${JSON.stringify(result.report)}\n` : tableOf(result.report.summary));
}

async function runSweep(options: ReplayOptions, replay: ReplaySettings, text: string): Promise<void> {
  const variants = variantsOf(options, text);
  const progress = new Progress('sweep');
  const results = await sweep(variants, { threads: replay.threads, onDone: (done, total) => progress.at(done, total) });
  progress.end();
  const ranking = rankingOf(results, replay.rankBy);
  const json = `${JSON.stringify(ranked(results, replay.rankBy))}\n`;
  if (replay.jsonPath !== undefined) await writeFile(replay.jsonPath, json);
  process.stdout.write(replay.format === 'json' ? json : ranking);
}

async function runOnline(options: ReplayOptions, replay: ReplaySettings, url: string): Promise<void> {
  const model = replay.model ?? (await firstModel(url));
  const workload = await workloadOf(options);
  const progress = new Progress('online');
  let done = 0;
  const began = performance.now();
  const tally = await replayOnline(workload, {
    url,
    model,
    concurrency: options.concurrency,
    sla: options.sla,
    onEnded: () => progress.at(++done, workload.total),
  });
  progress.end();
  const summary = summaryOf(tally, { wallMs: performance.now() - began, prefillWorkers: 0, decodeWorkers: options.workers ?? 1, gpus: 1 });
  const coverage = { capture_per_request: false, capture_planner_details: false, per_request_records: 0 } as const;
  const report = { summary, per_request: null, coverage, planner: null };
  if (replay.jsonPath !== undefined) await writeFile(replay.jsonPath, `${JSON.stringify(report)}\n`);
  if (replay.htmlPath !== undefined)
    await writeFile(replay.htmlPath, htmlOf({ report, tally, ranks: 0, blocks: 0 }, `Replay of ${titleOf(replay)} against ${url}`));
  process.stdout.write(replay.format === 'json' ? `${JSON.stringify(report)}\n` : tableOf(summary));
}

const titleOf = (replay: ReplaySettings): string => replay.trace ?? 'a made-up workload';

async function firstModel(url: string): Promise<string> {
  try {
    const answer = await fetch(new URL('/v1/models', url));
    const { data } = (await answer.json()) as { readonly data?: readonly { readonly id?: string }[] };
    if (data?.[0]?.id !== undefined) return data[0].id;
  } catch (error) {
    throw new UsageError(`no frontend answers at ${url}: ${error instanceof Error ? error.message : String(error)}`);
  }
  throw new UsageError(`the frontend at ${url} has no models`);
}
