import { serveUpstream, type ServeUpstreamOptions, slugOf, type UpstreamWorker } from '@dynamo/llm/internal';
import type { DistributedRuntime, EndpointPath, Logger } from '@dynamo/runtime';
import type { Settings } from '../settings.ts';
import { UsageError } from '../usage.ts';

/** An upstream and where it tells of its cache. */
export interface UpstreamAddress {
  readonly url: string;
  readonly kvEvents: string | undefined;
}

/**
 * The upstreams that the flags name, each with its own event address.
 *
 * @throws UsageError where there are none, or more event addresses than upstreams.
 */
export function upstreamsOf({ upstream }: Settings): readonly UpstreamAddress[] {
  const urls = listOf(upstream.urls);
  const events = listOf(upstream.kvEvents);
  if (urls.length === 0) throw new UsageError('--engine openai needs the address of an OpenAI server: --upstream http://HOST:PORT');
  if (new Set(urls).size < urls.length) throw new UsageError('--upstream: an address is given twice');
  if (events.length > urls.length) throw new UsageError(`there are ${events.length} addresses of events for ${urls.length} upstreams`);
  return urls.map((url, index) => ({ url, kvEvents: events[index] === '-' ? undefined : events[index] }));
}

const listOf = (text: string | undefined): readonly string[] => (text === undefined ? [] : text.split(',').map((part) => part.trim()));

/** Serves all of them, each on runtimes of its own. */
export function openUpstreams(
  settings: Settings,
  parts: {
    readonly upstreams: readonly UpstreamAddress[];
    readonly connect: (index: number) => Promise<DistributedRuntime>;
    readonly log: Logger;
    readonly onServed?: ServeUpstreamOptions['onServed'];
  },
): readonly UpstreamWorker[] {
  const { upstream, worker, modelPath } = settings;
  const endpointOf = endpoints(settings);
  return parts.upstreams.map(({ url, kvEvents }, index) =>
    serveUpstream({
      url,
      key: upstream.key,
      connect: () => parts.connect(index),
      endpointOf,
      model: { folder: modelPath, name: worker.name, input: upstream.input },
      kvEvents: kvEvents === undefined ? undefined : { zmq: kvEvents },
      blockSize: upstream.blockSize,
      times: { probeMs: upstream.probeSeconds * 1_000, idleMs: upstream.idleSeconds * 1_000, graceMs: worker.graceSeconds * 1_000 },
      log: parts.log,
      ...(parts.onServed === undefined ? {} : { onServed: parts.onServed }),
    }),
  );
}

/** One model is served at the usual place; each further one at a place of its own, or requests would go astray. */
function endpoints({ worker, namespace = 'dynamo' }: Settings): (model: string) => EndpointPath {
  const known = new Map<string, EndpointPath>();
  return (model) => {
    const usual = worker.endpoint ?? (`${namespace}.backend.generate` as const);
    const path = known.get(model) ?? (known.size === 0 ? usual : (`${usual.split('.')[0]}.${slugOf(model)}.generate` as EndpointPath));
    known.set(model, path);
    return path;
  };
}
