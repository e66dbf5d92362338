import type { DistributedRuntime } from '@dynamo/runtime';
import type { Frontend, FrontendOptions } from './frontend.ts';
import type { Siblings } from './siblings.ts';

/** Opens a frontend that is one of several processes on one port; what only HTTP needs is loaded now. */
export async function openFrontendBeside(runtime: DistributedRuntime, options: FrontendOptions, siblings: Siblings): Promise<Frontend> {
  const { openFrontend } = await import('./frontend.ts');
  return openFrontend(runtime, options, siblings);
}
