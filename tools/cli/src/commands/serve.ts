import { fork } from 'node:child_process';
import { rmSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type Frontend, Llm } from '@dynamo/llm';
import { cardFromDirectory, ggufFolder } from '@dynamo/llm/internal';
import { DistributedRuntime } from '@dynamo/runtime';
import { engineFor } from '../engines/names.ts';
import { frontendOptions } from '../frontend-options.ts';
import { watchInterruption } from '../interruption.ts';
import { openLog } from '../log.ts';
import { fetchNamedModel, modelFolder, type ModelFolder } from '../model-folder.ts';
import { banner } from '../serve/banner.ts';
import { stackEnvironment, workerEnvironment } from '../serve/environment.ts';
import { WorkerPool } from '../serve/worker-pool.ts';
import type { Settings } from '../settings.ts';
import { UsageError } from '../usage.ts';
import { connectOptions } from './frontend.ts';

const main = fileURLToPath(new URL('../main.ts', import.meta.url));

/** Runs a frontend here and workers beside it until asked to end; resolves with the exit code. */
export async function runServe(settings: Settings): Promise<number> {
  const engine = engineFor(settings.worker.engine, settings.modelPath);
  if (engine === 'openai')
    throw new UsageError('--engine openai is for dynamo worker; dynamo frontend --upstream http://HOST:PORT needs no worker at all');
  using log = openLog(settings);
  const model = modelFolder(settings);
  // Says what is wrong with the model before anything runs.
  const here = (await fetchNamedModel(settings.modelPath)) ?? model.path;
  const { chatTemplate } = settings.worker;
  await cardFromDirectory(engine === 'llama' ? await ggufFolder(here, process.env) : here, chatTemplate === undefined ? {} : { chatTemplate });
  await using stack = new AsyncDisposableStack();
  const root = await mkdtemp(join(tmpdir(), 'dynamo-serve-'));
  const forget = (): void => rmSync(root, { recursive: true, force: true });
  stack.defer(forget);
  const environment = stackEnvironment(process.env, root);
  // The runtime reads its addresses from the environment of its process, and this process is ours.
  Object.assign(process.env, environment);
  const pool = new WorkerPool({
    count: settings.workers,
    launch: launcher(settings, model),
    log,
    onReady: (index, worker) => progress(`worker ${index + 1} of ${settings.workers} is ready at ${worker.address}`),
  });
  const interruption = stack.use(
    watchInterruption(() => {
      pool.kill();
      forget();
      process.exit(130);
    }),
  );
  const runtime = stack.use(await DistributedRuntime.connect({ ...connectOptions(settings), discovery: 'file', log }));
  stack.use(pool);
  const { modelPath: _workersOnly, ...mine } = settings;
  const frontend = stack.use(await new Llm(runtime).frontend(frontendOptions(mine)));
  progress(`the frontend listens on ${frontend.address}; starting ${settings.workers} workers`);
  pool.start();
  const lost = runtime.closed.then(() => 'lost' as const);
  const early = await Promise.race([untilReady(pool, frontend, model).then(() => undefined), interruption.asked, lost, pool.failed]);
  if (early === 'lost') return 1;
  if (early === undefined) process.stdout.write(banner({ address: frontend.address, model: model.name, engine, workers: pool.running, root }));
  const end = early ?? (await Promise.race([interruption.asked, lost, pool.failed]));
  if (end === 'lost') return 1;
  progress(`${end}: running answers go on to their end, then everything stops`);
  return 0;
}

/** Workers talk to this process over IPC, and end when it does, however it ends. */
const launcher = (settings: Settings, model: ModelFolder) => (): ReturnType<typeof fork> =>
  fork(main, ['worker', ...workerArguments(settings, model)], {
    env: { ...process.env, ...workerEnvironment },
    // A Ctrl-C in the terminal must not reach the workers: they answer until the frontend has drained.
    detached: true,
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });

function workerArguments(settings: Settings, model: ModelFolder): readonly string[] {
  const { worker, namespace, connect, llama = {} } = settings;
  const given = {
    '--engine': engineFor(worker.engine, settings.modelPath),
    '--model-path': model.path,
    '--model-name': model.name,
    '--custom-jinja-template': worker.chatTemplate,
    '--delay-ms': String(worker.delayMs),
    '--discovery-backend': 'file',
    '--request-plane': connect.requestPlane,
    '--event-plane': connect.eventPlane,
    '--namespace': namespace,
    '--endpoint': worker.endpoint,
    '--sequences': textOf(llama.sequences),
    '--context-length': textOf(llama.contextLength),
    '--threads': textOf(llama.threads ?? Math.max(1, Math.floor(availableParallelism() / settings.workers))),
    '--kv-block-size': textOf(llama.blockSize),
  };
  return Object.entries(given).flatMap(([flag, value]) => (value === undefined ? [] : [flag, value]));
}

const textOf = (count: number | undefined): string | undefined => (count === undefined ? undefined : String(count));

/** All workers are up and the frontend has the model's files. */
async function untilReady(pool: WorkerPool, frontend: Frontend, model: ModelFolder): Promise<void> {
  await pool.allReady;
  while (!frontend.models.includes(model.name)) await sleep(20);
}

const progress = (line: string): void => void process.stderr.write(`dynamo: ${line}\n`);
