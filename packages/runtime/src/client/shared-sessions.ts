import { batchesOf } from '../async/batches.ts';
import type { Logger } from '../log.ts';
import type { EventPlane, EventScope } from '../planes/events/event-plane.ts';
import { decodeSessionEvent, encodeSessionEvent, type SessionEvent } from '../wire/session-event.ts';

const topic = 'session_affinity_events';

/** What a client tells the others of its sessions, and hears from them (spec kv-router 11). */
export interface SharedSessions extends AsyncDisposable {
  /** Tells the others; what is told before the channel is open goes out with it. */
  tell(event: SessionEvent): void;
}

/** Joins those who keep the sessions of an endpoint: a channel of our own, and an ear for the others'. */
export function shareSessions(
  parts: { readonly events: EventPlane; readonly log: Logger },
  scope: EventScope,
  heard: (event: SessionEvent) => void,
): SharedSessions {
  const { events, log } = parts;
  const stop = new AbortController();
  const opened = events.publish(scope, topic);
  const failed = (error: unknown): void => {
    if (!stop.signal.aborted) log.error({ error: String(error) }, 'sessions are not shared with other routers');
  };
  opened.catch(failed);
  const listen = async (): Promise<void> => {
    // Our own come back to us too, and say nothing new.
    for await (const batch of batchesOf(events.subscribe(scope, topic, { signal: stop.signal }))) {
      for (const change of batch) if (change.type === 'event') attempt(change.payload);
    }
  };
  const attempt = (payload: Uint8Array): void => {
    try {
      heard(decodeSessionEvent(payload));
    } catch (error) {
      log.warn({ topic, error: String(error) }, 'a session event is unreadable: dropped');
    }
  };
  const ended = listen().catch(failed);
  return {
    tell(event) {
      const payload = encodeSessionEvent(event);
      // A failure to open has been told; one that is closed has nobody to tell.
      opened.then((publisher) => stop.signal.aborted || publisher.publish(payload)).catch(() => undefined);
    },
    async [Symbol.asyncDispose]() {
      stop.abort();
      await ended;
      await (await opened.catch(() => undefined))?.[Symbol.asyncDispose]();
    },
  };
}
