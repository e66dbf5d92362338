import { type Counter, type Gauge, type Histogram, Metrics } from '@dynamo/metrics';
import { attach } from '@dynamo/metrics/internal';

/** Counts what the sending side of a transport moves. */
export interface TransportMeter {
  /** A request left, so many bytes long. */
  sent(bytes: number): void;
  /** An acknowledgement came, with so many bytes in it. */
  received(bytes: number): void;
  /** So many requests got no acknowledgement: their connection failed, or took too long. */
  failed(requests: number): void;
}

/** Counts the calls of a runtime's clients (spec runtime-wire 15). */
export interface CallerMetrics {
  readonly tcp: TransportMeter;
  /** From the call's begin to the moment when its request leaves, in seconds. */
  readonly queue: Histogram;
  /** From there to the acknowledgement. */
  readonly send: Histogram;
  /** From there to the first items of the answer. */
  readonly firstItem: Histogram;
  readonly inflight: Gauge;
}

/** Bounds of the real system's histograms, in seconds, as its frontend shows them. */
const buckets = {
  step: [0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1],
  firstItem: [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5],
};

/** Makes the families of a process that calls; a process that only serves does not show them, as in the real system. */
export function countCalls(root: Metrics, options: ConstructorParameters<typeof Metrics>[0] = {}): CallerMetrics {
  const metrics = new Metrics({ ...options, prefix: 'dynamo' });
  attach(root, metrics);
  const counter = (name: string, help: string): Counter => metrics.counter(`transport_tcp_${name}`, help);
  const histogram = (name: string, help: string, bounds: readonly number[]): Histogram =>
    metrics.histogram(`request_plane_${name}`, help, { buckets: bounds });
  const sent = counter('bytes_sent_total', 'Total bytes sent by TCP request client');
  const received = counter('bytes_received_total', 'Total bytes received by TCP request client');
  // Node tells of a listener's failure in its log line alone; the family is there for dashboards.
  counter('accept_backoff_total', 'Total TCP response-server accept failures caused by descriptor or memory exhaustion');
  const errors = counter('errors_total', 'Total TCP request errors (send failure or timeout)');
  return {
    tcp: { sent: (bytes) => sent.inc(bytes), received: (bytes) => received.inc(bytes), failed: (requests) => errors.inc(requests) },
    queue: histogram('queue_seconds', 'Time from generate() entry to send_request() (seconds)', buckets.step),
    send: histogram('send_seconds', 'Time for send_request() to complete (seconds)', buckets.step),
    firstItem: histogram('roundtrip_ttft_seconds', 'Time from send_request() to first response item (seconds)', buckets.firstItem),
    inflight: metrics.gauge('request_plane_inflight_requests', 'Currently in-flight requests at AddressedPushRouter'),
  };
}
