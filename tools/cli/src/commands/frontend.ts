import { type FrontendOptions, Llm } from '@dynamo/llm';
import { openFrontendBeside } from '@dynamo/llm/internal';
import { DistributedRuntime } from '@dynamo/runtime';
import { reachable } from '../address.ts';
import { siblingsOfProcess } from '../fleet/member.ts';
import { frontendOptions } from '../frontend-options.ts';
import { watchInterruption } from '../interruption.ts';
import { openLog } from '../log.ts';
import { fetchNamedModel } from '../model-folder.ts';
import type { Settings } from '../settings.ts';

/** Runs a frontend until it is asked to end; resolves with the exit code. */
export async function runFrontend(settings: Settings): Promise<number> {
  if (settings.frontend.interactive) return runInteractive(settings);
  if (settings.upstream.urls !== undefined) return (await import('./frontend-upstreams.ts')).runFrontendUpstreams(settings);
  if (settings.frontend.httpWorkers !== 1) {
    const { processCount, runFrontendProcesses } = await import('./frontend-processes.ts');
    if (processCount(settings) > 1) return runFrontendProcesses(settings);
  }
  using log = openLog(settings);
  const modelPath = await fetchNamedModel(settings.modelPath);
  using interruption = watchInterruption();
  const own = frontendOptions(modelPath === undefined ? settings : { ...settings, modelPath });
  await using runtime = await DistributedRuntime.connect({ ...connectOptions(settings), log });
  const siblings = siblingsOfProcess();
  const options = siblings === undefined ? own : sharing(own);
  await using frontend = await (siblings === undefined ? new Llm(runtime).frontend(options) : openFrontendBeside(runtime, options, siblings));
  // The parent of several waits for this.
  process.send?.({ type: 'ready', instance: String(process.pid), address: frontend.address, endpoint: 'http' });
  if (frontend.grpcAddress !== '') process.stdout.write(`KServe v2 over gRPC listens on ${frontend.grpcAddress}.\n`);
  process.stdout.write(
    `Dynamo frontend listens on ${frontend.address}: ${reachable(frontend.address)}/v1/models lists the models of the workers that it finds.\n`,
  );
  const end = await Promise.race([interruption.asked, runtime.closed.then(() => undefined)]);
  if (end === undefined) return 1;
  log.info({ signal: end }, 'draining: running answers go on to their end');
  return 0;
}

/** A chat in the terminal, over the same workers and by the same routing. */
async function runInteractive(settings: Settings): Promise<number> {
  using log = openLog(settings);
  const { askModels } = await import('../ask/ask-models.ts');
  await using runtime = await DistributedRuntime.connect({ ...connectOptions(settings), log });
  await using frontend = await new Llm(runtime).frontend({ ...frontendOptions(settings), http: false });
  return await askModels(frontend, { input: { kind: 'text' }, model: settings.worker.name, concurrency: 1, resume: false });
}

/** What the runtime needs of the settings; the response plane has only one implementation. */
export const connectOptions = ({ connect }: Settings): Omit<Settings['connect'], 'responsePlane'> => ({
  discovery: connect.discovery,
  requestPlane: connect.requestPlane,
  eventPlane: connect.eventPlane,
});

/** Several processes that route by KV cache tell each other what they route, each as far as the others. */
const sharing = (options: FrontendOptions): FrontendOptions =>
  options.router?.mode === 'kv' ? { ...options, router: { ...options.router, replicaSync: true } } : options;
