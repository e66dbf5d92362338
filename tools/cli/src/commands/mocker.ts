import { hostname } from 'node:os';
import { lookup } from 'node:dns/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { readMockLaunch } from '@dynamo/internal';
import { MockWorker } from '@dynamo/mocker';
import { DistributedRuntime, DynamoError, type EndpointPath } from '@dynamo/runtime';
import { watchInterruption } from '../interruption.ts';
import { openLog } from '../log.ts';
import { bundledModel, fetchNamedModel } from '../model-folder.ts';
import { engineConfig, portsOf, roleOf, staggerOf, wordsOf } from '../mocker/engine-config.ts';
import type { Settings } from '../settings.ts';
import { UsageError } from '../usage.ts';
import { connectOptions } from './frontend.ts';

/** Workers of one batch, and the pause after it, so that frontends keep up with many. */
const batch = { workers: 32, pauseMs: 2_000 } as const;

/** Runs mock workers until asked to end; resolves with the exit code. */
export async function runMocker(settings: Settings): Promise<number> {
  using log = openLog(settings);
  const { mocker, worker } = settings;
  const model = (await fetchNamedModel(settings.modelPath)) ?? bundledModel;
  using interruption = watchInterruption();
  const role = roleOf(mocker);
  const component = role === 'prefill' ? 'prefill' : 'backend';
  const endpoint: EndpointPath = worker.endpoint ?? `${settings.namespace ?? 'dynamo'}.${component}.generate`;
  const ports = portsOf(mocker.bootstrapPorts, '--bootstrap-ports', mocker.workers);
  const staggerMs = staggerOf(mocker.staggerSeconds, mocker.workers) * 1_000;
  const words = mocker.readable ? wordsOf(model) : undefined;
  const launches = await Promise.all(
    Array.from({ length: mocker.workers }, (_, index) => readLaunch(engineConfig(mocker, { model, bootstrapPort: ports[index] }))),
  );
  await using stack = new AsyncDisposableStack();
  const served: MockWorker['served'][] = [];
  const lost: Promise<void>[] = [];
  for (const [index, launch] of launches.entries()) {
    // Each has a runtime of its own, as if it ran alone; the status server can have its port only once.
    const connect = { ...connectOptions(settings), log, ...(index === 0 ? {} : { system: false as const }) };
    const runtime = stack.use(await DistributedRuntime.connect(connect));
    lost.push(runtime.closed);
    if (!(await pause(launch.startupSeconds * 1_000, interruption.signal))) return 0;
    const open = { endpoint, model, name: worker.name ?? settings.modelPath ?? 'mock', host: await ownAddress(), words };
    served.push(stack.use(await MockWorker.open(runtime, launch, open)).served);
    if (staggerMs > 0 && index < launches.length - 1) {
      const whole = (index + 1) % batch.workers === 0 ? batch.pauseMs : 0;
      if (!(await pause(staggerMs + whole, interruption.signal))) return 0;
    }
  }
  process.stdout.write(
    `Dynamo mocker: ${served.length} ${served.length === 1 ? 'worker serves' : 'workers serve'} ${endpoint}, instances ${served.map(({ instance }) => instance.id.toString(16)).join(' ')}.\n`,
  );
  const end = await Promise.race([interruption.asked, ...lost.map((closed) => closed.then(() => undefined))]);
  if (end === undefined) return 1;
  log.info({ signal: end }, 'draining: running requests go on to their end');
  return 0;
}

/** Waits unless or until somebody asks for the end; whether to go on. */
const pause = async (ms: number, signal: AbortSignal): Promise<boolean> => {
  if (ms > 0) await sleep(ms, undefined, { signal }).catch(() => undefined);
  return !signal.aborted;
};

async function readLaunch(config: unknown): ReturnType<typeof readMockLaunch> {
  try {
    return await readMockLaunch(config);
  } catch (error) {
    if (DynamoError.is(error, 'invalid_argument')) throw new UsageError(error.message);
    throw error;
  }
}

/** The address under which this machine is known, as the real command finds it. */
async function ownAddress(): Promise<string> {
  const given = process.env['DYN_HTTP_RPC_HOST'];
  if (given !== undefined && given !== '') return given;
  return lookup(hostname(), 4).then(
    ({ address }) => address,
    () => '127.0.0.1',
  );
}
