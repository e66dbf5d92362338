import { type FrontendOptions, Llm } from '@dynamo/llm';
import { DistributedRuntime } from '@dynamo/runtime';
import { mem, MemEvents, memEvents, MemStore } from '@dynamo/runtime/internal';
import { reachable } from '../address.ts';
import { openUpstreams, type UpstreamAddress, upstreamsOf } from '../engines/upstreams.ts';
import { frontendOptions } from '../frontend-options.ts';
import { watchInterruption } from '../interruption.ts';
import { openLog } from '../log.ts';
import type { Settings } from '../settings.ts';
import { UsageError } from '../usage.ts';

/** Runs a frontend and its upstreams in one process, which no other process can find or needs to; resolves with the exit code. */
export async function runFrontendUpstreams(settings: Settings): Promise<number> {
  if (settings.frontend.httpWorkers !== 1)
    throw new UsageError('--upstream and --http-workers do not go together: run dynamo worker --engine openai');
  using log = openLog(settings);
  const upstreams = upstreamsOf(settings);
  using interruption = watchInterruption();
  const [store, events] = [new MemStore(), new MemEvents()];
  const connect = (system: object): Promise<DistributedRuntime> =>
    DistributedRuntime.connect({ discovery: mem(store), eventPlane: memEvents(events), requestPlane: 'tcp', log, ...system });
  await using stack = new AsyncDisposableStack();
  const runtime = stack.use(await connect({}));
  const frontend = stack.use(await new Llm(runtime).frontend(routedFor(upstreams, frontendOptions(settings))));
  const workers = openUpstreams(settings, {
    upstreams,
    connect: () => connect({ system: false }),
    log,
    onServed: (_served, card) => void process.stdout.write(`Dynamo frontend has model '${card.display_name}' of an upstream.\n`),
  });
  for (const worker of workers) stack.use(worker);
  process.stdout.write(
    `Dynamo frontend listens on ${frontend.address}: ${reachable(frontend.address)}/v1/models lists the models of its upstreams.\n`,
  );
  const refused = Promise.all(workers.map(({ ready }) => ready)).then(() => new Promise<never>(() => undefined));
  const end = await Promise.race([interruption.asked, refused, runtime.closed.then(() => undefined)]);
  if (end === undefined) return 1;
  log.info({ signal: end }, 'draining: running answers go on to their end');
  // The frontend first: its running answers need the upstreams.
  await frontend[Symbol.asyncDispose]();
  return 0;
}

/** Where no upstream tells of its cache, a router by cache goes by what it has sent. */
function routedFor(upstreams: readonly UpstreamAddress[], options: FrontendOptions): FrontendOptions {
  const { router } = options;
  if (router?.mode !== 'kv' || upstreams.some(({ kvEvents }) => kvEvents !== undefined)) return options;
  return { ...options, router: { ...router, settings: { ...router.settings, kvEvents: false } } };
}
