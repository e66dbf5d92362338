import { access, constants } from 'node:fs/promises';
import { type FrontendOptions, Llm } from '@dynamo/llm';
import { ggufFolder } from '@dynamo/llm/internal';
import { DistributedRuntime, type Logger } from '@dynamo/runtime';
import { askModels, inputOf } from '../ask/ask-models.ts';
import { engines } from '../engines/index.ts';
import { frontendOptions } from '../frontend-options.ts';
import { openLog } from '../log.ts';
import { fetchNamedModel, modelFolder } from '../model-folder.ts';
import type { Settings } from '../settings.ts';
import { UsageError } from '../usage.ts';
import { connectOptions } from './frontend.ts';

/** Asks the workers of a fleet, or an engine of this process, without HTTP; resolves with the exit code. */
export async function runRun(settings: Settings): Promise<number> {
  const { run, worker } = settings;
  const input = inputOf(run.input, { terminal: process.stdin.isTTY });
  // Before anybody waits for a model.
  if (input.kind === 'batch') await readable(input.file);
  using log = openLog(settings);
  await using local = await engineOf(settings, log);
  const engine = local?.engine;
  const connect = connectOptions(settings);
  await using runtime = await DistributedRuntime.connect({ ...connect, ...(engine === undefined ? {} : { discovery: 'mem' as const }), log });
  await using frontend = await new Llm(runtime).frontend({ ...frontendOptions(settings), http: false, ...(engine === undefined ? {} : { engine }) });
  const { maxTokens, output, concurrency, resume } = run;
  return await askModels(frontend, { input, model: worker.name, maxTokens, output, concurrency, resume });
}

async function readable(file: string): Promise<void> {
  const problem = await access(file, constants.R_OK).then(
    () => undefined,
    (error: Error) => error.message,
  );
  if (problem !== undefined) throw new UsageError(`batch '${file}' can't be read: ${problem}`);
}

/** The engine of this process, if one was asked for. */
async function engineOf(settings: Settings, log: Logger): Promise<({ engine: FrontendOptions['engine'] } & AsyncDisposable) | undefined> {
  const { engine } = settings.run;
  if (engine === undefined) return undefined;
  const { path: given, name } = modelFolder(settings);
  const path = (await fetchNamedModel(settings.modelPath)) ?? given;
  const {
    engine: run,
    serving,
    close,
  } = await engines[engine]({ modelPath: path, delayMs: settings.worker.delayMs, llama: settings.llama ?? {}, log });
  // A frontend reads the files of a folder.
  const model = engine === 'llama' ? await ggufFolder(path, process.env) : path;
  const { contextLength } = serving ?? {};
  return {
    engine: { model, name, run, ...(contextLength === undefined ? {} : { contextLength }) },
    [Symbol.asyncDispose]: async () => close?.(),
  };
}
