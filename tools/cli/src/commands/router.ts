import { serveRouter } from '@dynamo/kv-router/internal';
import { DistributedRuntime } from '@dynamo/runtime';
import { watchInterruption } from '../interruption.ts';
import { openLog } from '../log.ts';
import { beyondOptions, routerSettings } from '../router-options.ts';
import type { Settings } from '../settings.ts';
import { UsageError } from '../usage.ts';
import { connectOptions } from './frontend.ts';

/** Runs a router that others ask until it is asked to end; resolves with the exit code. */
export async function runRouter(settings: Settings): Promise<number> {
  const { endpoint, serviceBlockSize: blockSize } = settings.router;
  if (endpoint === undefined) throw new UsageError('endpoint is required (set --endpoint or DYN_ROUTER_ENDPOINT)');
  using log = openLog(settings);
  using interruption = watchInterruption();
  await using runtime = await DistributedRuntime.connect({ ...connectOptions(settings), log });
  await using service = await serveRouter(runtime, endpoint.replace(/^dyn:\/\//, '') as typeof endpoint, {
    blockSize,
    settings: routerSettings(settings),
    ...beyondOptions(settings),
    ...(settings.namespace === undefined ? {} : { namespace: settings.namespace }),
  });
  process.stdout.write(`Dynamo router for the workers of ${endpoint} serves ${service.endpoints.join(', ')}.\n`);
  const end = await Promise.race([interruption.asked, runtime.closed.then(() => undefined)]);
  if (end === undefined) return 1;
  log.info({ signal: end }, 'draining: running requests go on to their end');
  return 0;
}
