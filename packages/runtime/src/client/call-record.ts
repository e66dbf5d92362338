import { DynamoError } from '../error.ts';
import type { InstanceId } from '../endpoint/instance.ts';
import type { CallerMetrics } from '../metrics/caller-metrics.ts';
import type { Span, Tracer } from '../tracing/tracer.ts';
import type { CallOptions } from './types.ts';

/** What a runtime lends to its clients to count and trace calls with. */
export interface CallRecorder {
  readonly metrics: CallerMetrics;
  readonly tracer: Tracer | undefined;
}

/** A call's request on its way. */
export interface SentCall {
  readonly id: string;
  readonly instance: InstanceId;
  readonly call: CallOptions;
  /** How the instance was chosen. */
  readonly policy: string;
}

/** Counts and traces one call from its begin to its end. Disposing ends it: as one that its caller left, unless it says otherwise before. */
export class CallRecord implements Disposable {
  readonly #parts: CallRecorder;
  readonly #begun = performance.now();
  /** When the request left; 0 before. */
  #left = 0;
  #answered = false;
  #span: Span | undefined;
  #outcome = 'cancelled';

  constructor(parts: CallRecorder) {
    this.#parts = parts;
  }

  /** The request leaves now. Gives the headers that let the next hop join the trace. */
  leaves(sent: SentCall): Readonly<Record<string, string>> | undefined {
    const { metrics, tracer } = this.#parts;
    this.#left = performance.now();
    metrics.queue.observe((this.#left - this.#begun) / 1_000);
    metrics.inflight.inc();
    if (tracer === undefined) return undefined;
    const { call } = sent;
    this.#span = tracer.start('router.route_request', {
      kind: 'client',
      parent: call.headers?.['traceparent'] ?? call.context?.traceparent,
      attributes: { request_id: sent.id, router_mode: sent.policy, worker_id: String(sent.instance) },
    });
    return { traceparent: this.#span.traceparent };
  }

  /** The instance has taken the request, or has not. */
  acknowledged(): void {
    this.#parts.metrics.send.observe((performance.now() - this.#left) / 1_000);
  }

  /** Items have come. */
  arrived(): void {
    if (this.#answered) return;
    this.#answered = true;
    this.#parts.metrics.firstItem.observe((performance.now() - this.#left) / 1_000);
  }

  failed(error: unknown): void {
    const { code, origin } = DynamoError.from(error);
    this.#outcome = code === 'cancelled' ? code : code === 'invalid_argument' ? 'rejected' : 'error';
    if (code !== 'cancelled') this.#span?.fail(origin === 'backend' ? `backend_${code}` : code);
  }

  completed(): void {
    this.#outcome = 'success';
  }

  [Symbol.dispose](): void {
    if (this.#left === 0) return;
    this.#parts.metrics.inflight.dec();
    this.#span?.set('request.outcome', this.#outcome);
    this.#span?.end();
  }
}
