import type { DistributedRuntime } from '@dynamo/runtime';
import { batchesOf, type EventScope } from '@dynamo/runtime/internal';

/** Hears one topic until it is disposed; what can't be read is told to the log and left out. */
export function hearTopic(
  { events, log }: Pick<DistributedRuntime, 'events' | 'log'>,
  where: { readonly scope: EventScope; readonly topic: string },
  take: (payload: Uint8Array) => void,
): AsyncDisposable {
  const { scope, topic } = where;
  const stop = new AbortController();
  const attempt = (payload: Uint8Array): void => {
    try {
      take(payload);
    } catch (error) {
      log.warn({ topic, error: String(error) }, 'an event is unreadable: dropped');
    }
  };
  const listen = async (): Promise<void> => {
    for await (const batch of batchesOf(events.subscribe(scope, topic, { signal: stop.signal })))
      for (const change of batch) if (change.type === 'event') attempt(change.payload);
  };
  const ended = listen().catch((error: unknown) => {
    if (!stop.signal.aborted) log.error({ topic, error: String(error) }, 'a topic is heard no more');
  });
  return {
    async [Symbol.asyncDispose]() {
      stop.abort();
      await ended;
    },
  };
}
