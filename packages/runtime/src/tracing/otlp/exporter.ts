import type { Logger } from '../../log.ts';
import type { ExportSettings } from '../settings.ts';
import type { EndedSpan, SpanExporter } from '../tracer.ts';
import { encodeSpans } from './encode.ts';
import { grpcDelivery } from './grpc.ts';
import { httpDelivery } from './http.ts';

/** Brings one encoded request to the collector; rejects when it was not taken. */
export interface Delivery extends Disposable {
  send(body: Uint8Array): Promise<void>;
}

/** How long disposal waits for the last spans to be taken, in milliseconds. */
const closeMs = 2_000;

/**
 * Sends ended spans to an OTLP collector, some at a time, one delivery after the other.
 *
 * What the queue has no room for and what the collector does not take is dropped and counted: a collector that is down costs
 * spans and nothing else.
 */
export function otlpExporter(
  settings: ExportSettings,
  options: { log: Logger; onDropped: (spans: number) => void; delivery?: Delivery },
): SpanExporter {
  const { log, onDropped, delivery = settings.protocol === 'grpc' ? grpcDelivery(settings) : httpDelivery(settings) } = options;
  let waiting: EndedSpan[] = [];
  let timer: NodeJS.Timeout | undefined;
  let sending: Promise<void> | undefined;
  let failing = false;
  let closed = false;

  async function drain(): Promise<void> {
    while (waiting.length > 0) {
      const batch = waiting.splice(0, settings.maxBatch);
      try {
        await delivery.send(encodeSpans(batch, settings.service));
        if (failing) log.info({}, 'spans are taken again');
        failing = false;
      } catch (error) {
        onDropped(batch.length);
        if (!failing) log.warn({ error: String(error), endpoint: settings.endpoint }, 'could not export spans');
        failing = true;
        // The rest waits for its own time: a collector that is down is asked once a delay, not without end.
        if (!closed) break;
      }
    }
  }

  function flush(): Promise<void> {
    clearTimeout(timer);
    timer = undefined;
    sending ??= drain().finally(() => {
      sending = undefined;
      if (waiting.length > 0) schedule();
    });
    return sending;
  }

  function schedule(): void {
    if (closed) return;
    // `drain` never rejects.
    timer ??= setTimeout(() => void flush(), settings.delayMs).unref();
  }

  return {
    export(span) {
      if (closed || waiting.length >= settings.maxQueue) {
        onDropped(1);
        return;
      }
      waiting.push(span);
      if (waiting.length >= settings.maxBatch && !failing) void flush();
      else schedule();
    },
    async [Symbol.asyncDispose]() {
      if (closed) return;
      closed = true;
      const late = Promise.withResolvers<void>();
      const limit = setTimeout(late.resolve, closeMs);
      await Promise.race([(sending ?? Promise.resolve()).then(flush), late.promise]);
      clearTimeout(limit);
      onDropped(waiting.length);
      waiting = [];
      delivery[Symbol.dispose]();
    },
  };
}
