import { DistributedRuntime } from '@dynamo/runtime';
import { openUpstreams, upstreamsOf } from '../engines/upstreams.ts';
import { watchInterruption } from '../interruption.ts';
import { openLog } from '../log.ts';
import type { Settings } from '../settings.ts';
import { connectOptions } from './frontend.ts';

/** Serves OpenAI servers as workers until asked to end; resolves with the exit code. */
export async function runUpstreams(settings: Settings): Promise<number> {
  using log = openLog(settings);
  const upstreams = upstreamsOf(settings);
  using interruption = watchInterruption();
  // The status server can have its port only once.
  const connect = (index: number): Promise<DistributedRuntime> =>
    DistributedRuntime.connect({ ...connectOptions(settings), log, ...(index === 0 ? {} : { system: false as const }) });
  await using stack = new AsyncDisposableStack();
  const workers = openUpstreams(settings, {
    upstreams,
    connect,
    log,
    onServed: ({ instance }, card) =>
      void process.stdout.write(
        `Dynamo worker serves ${instance.namespace}.${instance.component}.${instance.endpoint}: openai engine, model '${card.display_name}', instance ${instance.id.toString(16)}.\n`,
      ),
  });
  for (const worker of workers) stack.use(worker);
  // What the operator must mend ends the command; an upstream that is not there yet is waited for.
  const refused = Promise.all(workers.map(({ ready }) => ready)).then(() => new Promise<never>(() => undefined));
  const end = await Promise.race([interruption.asked, refused]);
  log.info({ signal: end }, 'draining: running requests go on to their end');
  return 0;
}
