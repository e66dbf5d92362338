import { type EventChannel, scopePath, topicPath } from '../../../wire/event-record.ts';
import type { ChannelChange, EventDirectory } from '../directory.ts';

/** A directory in this process, whose records a test may also write by hand. */
export class TestDirectory implements EventDirectory {
  readonly channels = new Set<EventChannel>();
  readonly #rings = new Set<() => void>();

  async announce(channel: EventChannel): Promise<AsyncDisposable> {
    this.channels.add(channel);
    this.#tell();
    return {
      [Symbol.asyncDispose]: async () => {
        this.channels.delete(channel);
        this.#tell();
      },
    };
  }

  async list(scope: EventChannel['scope']): Promise<readonly EventChannel[]> {
    return [...this.channels].filter((channel) => `${topicPath(channel.scope, channel.topic)}/`.startsWith(`${scopePath(scope)}/`));
  }

  async *watch(scope: EventChannel['scope'], topic: string, { signal }: { signal: AbortSignal }): AsyncGenerator<ChannelChange> {
    let known = new Set<EventChannel>();
    let wake = Promise.withResolvers<void>();
    const ring = (): void => wake.resolve();
    this.#rings.add(ring);
    signal.addEventListener('abort', ring, { once: true });
    try {
      while (!signal.aborted) {
        const now = new Set([...this.channels].filter((channel) => topicPath(channel.scope, channel.topic) === topicPath(scope, topic)));
        for (const channel of known) if (!now.has(channel)) yield { type: 'delete', publisher: channel.publisher };
        for (const channel of now) if (!known.has(channel)) yield { type: 'put', channel };
        known = now;
        await wake.promise;
        wake = Promise.withResolvers();
      }
    } finally {
      this.#rings.delete(ring);
      signal.removeEventListener('abort', ring);
    }
  }

  #tell(): void {
    for (const ring of this.#rings) ring();
  }
}
