import { Llm } from '@dynamo/llm';
import { DistributedRuntime } from '@dynamo/runtime';
import { reachable } from '../address.ts';
import { frontendOptions } from '../frontend-options.ts';
import { watchInterruption } from '../interruption.ts';
import { openLog } from '../log.ts';
import type { Settings } from '../settings.ts';

/** Runs a frontend until it is asked to end; resolves with the exit code. */
export async function runFrontend(settings: Settings): Promise<number> {
  using log = openLog(settings);
  using interruption = watchInterruption();
  await using runtime = await DistributedRuntime.connect({ ...connectOptions(settings), log });
  await using frontend = await new Llm(runtime).frontend(frontendOptions(settings));
  process.stdout.write(
    `Dynamo frontend listens on ${frontend.address}: ${reachable(frontend.address)}/v1/models lists the models of the workers that it finds.\n`,
  );
  const end = await Promise.race([interruption.asked, runtime.closed.then(() => undefined)]);
  if (end === undefined) return 1;
  log.info({ signal: end }, 'draining: running answers go on to their end');
  return 0;
}

/** What the runtime needs of the settings; the response plane has only one implementation. */
export const connectOptions = ({ connect }: Settings): Omit<Settings['connect'], 'responsePlane'> => ({
  discovery: connect.discovery,
  requestPlane: connect.requestPlane,
  eventPlane: connect.eventPlane,
});
