import { setTimeout as sleep } from 'node:timers/promises';
import { Llm } from '@dynamo/llm';
import { DistributedRuntime, type Served } from '@dynamo/runtime';
import { engines } from '../engines/index.ts';
import { engineFor } from '../engines/names.ts';
import { watchInterruption } from '../interruption.ts';
import { openLog } from '../log.ts';
import { fetchNamedModel, modelFolder } from '../model-folder.ts';
import type { Settings } from '../settings.ts';
import { connectOptions } from './frontend.ts';
import type { WorkerReport } from '../serve/worker-report.ts';
import { UsageError } from '../usage.ts';

/** Runs a worker until it is asked to end; resolves with the exit code. */
export async function runWorker(settings: Settings): Promise<number> {
  const kind = engineFor(settings.worker.engine, settings.modelPath);
  if (kind === 'openai') return (await import('./worker-upstreams.ts')).runUpstreams(settings);
  if (settings.upstream.urls !== undefined) throw new UsageError(`--upstream '${settings.upstream.urls}' needs --engine openai, not ${kind}`);
  using log = openLog(settings);
  const { worker } = settings;
  const model = modelFolder(settings);
  const folder = (await fetchNamedModel(settings.modelPath)) ?? model.path;
  using interruption = watchInterruption();
  const endpoint = worker.endpoint ?? (`${settings.namespace ?? 'dynamo'}.backend.generate` as const);
  await using stack = new AsyncDisposableStack();
  const { chatTemplate, delayMs } = worker;
  const { engine, serving, onServed, close } = await engines[kind]({ modelPath: folder, chatTemplate, delayMs, llama: settings.llama ?? {}, log });
  stack.defer(async () => close?.());
  await using runtime = await DistributedRuntime.connect({ ...connectOptions(settings), log });
  const own = chatTemplate === undefined ? {} : { chatTemplate };
  // What is fetched by another name than that of a folder is here by now.
  const source = kind === 'llama' ? folder : model.path;
  await using served = await new Llm(runtime).serve({ endpoint, model: source, name: model.name, engine, ...own, ...serving });
  onServed?.(served);
  const { id, transport } = served.instance;
  report({ type: 'ready', instance: id.toString(16), address: addressOf(transport), endpoint }, `${kind} engine, model '${model.name}'`);
  const end = await Promise.race([interruption.asked, runtime.closed.then(() => undefined)]);
  if (end === undefined) return 1;
  log.info({ signal: end }, 'draining: running requests go on to their end');
  await served.pause();
  // Frontends hear of the withdrawal a moment later; what they send until then is still served.
  if (worker.graceSeconds > 0 && end !== 'disconnect') await sleep(worker.graceSeconds * 1_000);
  return 0;
}

/** `HOST:PORT` of an instance's request plane; the rest of its transport is the endpoint's path. */
const addressOf = (transport: Served['instance']['transport']): string => ('tcp' in transport ? (transport.tcp.split('/')[0] ?? '') : transport.nats);

/** Tells the parent process, or whoever reads stdout when there is none. */
function report(ready: WorkerReport, what: string): void {
  if (process.send !== undefined) process.send(ready);
  else process.stdout.write(`Dynamo worker serves ${ready.endpoint} at ${ready.address}: ${what}, instance ${ready.instance}.\n`);
}
