import type { Metrics } from '@dynamo/metrics';
import { labelValue } from '@dynamo/metrics/internal';
import type { EndpointName } from '../endpoint/path.ts';
import { DynamoError } from '../error.ts';
import type { RuntimeMetrics } from './runtime-metrics.ts';

/** Why a request could not be worked on, as the `error_type` label says it. Errors of handlers are none of these (spec metrics 5). */
export type WorkError = 'deserialization' | 'invalid_message' | 'response_stream' | 'serialization' | 'publish_response' | 'publish_final';

/** Counts one request from the moment when it begins to run. */
export interface RequestMeter {
  /** The answer's stream is open. */
  answered(): void;
  failed(why: WorkError): void;
  /** The caller wants no more; counted once. */
  cancelled(): void;
  /** The request has ended, and its answer had so many bytes. */
  end(answerBytes: number): void;
}

/** Counts the requests of one endpoint. */
export interface EndpointMetrics {
  /** Where the endpoint's owner adds metrics of its own. */
  readonly metrics: Metrics;
  /** A request could not be read: its caller hears a refusal. */
  refused(request: { bytes: number; sentNanos?: string | undefined }, why: WorkError): void;
  begin(request: { bytes: number; sentNanos?: string | undefined }): RequestMeter;
}

/** Bounds of the real system's durations, in seconds (spec metrics 5). */
const durationBuckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600];

/**
 * Makes the families of an endpoint (spec runtime-wire 15). Serving it again goes on with their counts.
 *
 * @throws DynamoError `invalid_argument` for a label that is not allowed.
 */
export function countEndpoint(runtime: RuntimeMetrics, name: EndpointName, labels: Readonly<Record<string, string>> = {}): EndpointMetrics {
  const { own, counted } = nodes(runtime.metrics, name, labels);
  const requests = counted.counter('requests_total', 'Total number of requests processed by work handler');
  const received = counted.counter('request_bytes_total', 'Total number of bytes received in requests by work handler');
  const answered = counted.counter('response_bytes_total', 'Total number of bytes sent in responses by work handler');
  const inflight = counted.gauge('inflight_requests', 'Number of requests currently being processed by work handler');
  const cancellations = counted.counter('cancellation_total', 'Total number of requests cancelled by work handler');
  const errors = counted.counter('errors_total', 'Total number of errors in work handler processing', { labelNames: ['error_type'] });
  const duration = counted.histogram('request_duration_seconds', 'Time spent processing requests by work handler', { buckets: durationBuckets });
  const failed = (why: WorkError): void => errors.with({ error_type: why }).inc();
  const arrived = (request: { bytes: number; sentNanos?: string | undefined }): void => {
    requests.inc();
    received.inc(request.bytes);
    runtime.work.arrived(request.sentNanos);
  };
  return {
    metrics: own,
    refused(request, why) {
      arrived(request);
      failed(why);
    },
    begin(request) {
      arrived(request);
      inflight.inc();
      const started = performance.now();
      let cancelled = false;
      return {
        answered: () => runtime.work.answered((performance.now() - started) / 1_000),
        failed,
        cancelled() {
          if (!cancelled) cancellations.inc();
          cancelled = true;
        },
        end(answerBytes) {
          inflight.dec();
          answered.inc(answerBytes);
          duration.observe((performance.now() - started) / 1_000);
        },
      };
    },
  };
}

/** The endpoint's node, and the one below it for the labels that only the families of requests carry. */
function nodes(root: Metrics, name: EndpointName, labels: Readonly<Record<string, string>>): { own: Metrics; counted: Metrics } {
  try {
    const own = root.child({
      dynamo_namespace: labelValue(name.namespace),
      dynamo_component: labelValue(name.component),
      dynamo_endpoint: labelValue(name.endpoint),
    });
    return { own, counted: Object.keys(labels).length === 0 ? own : own.child({ ...labels }) };
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new DynamoError('invalid_argument', `Failed to create work handler metrics: ${why}`, { cause, data: { ...name } });
  }
}
