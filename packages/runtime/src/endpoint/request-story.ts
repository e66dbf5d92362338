import { DynamoError } from '../error.ts';
import { type LogFields, type Logger, speakingFor } from '../log.ts';
import type { Tracer } from '../tracing/tracer.ts';
import type { EndpointName } from './path.ts';

/** Who tells of requests: the name that the real system's lines of this kind have, so that its filters fit. */
const target = 'dynamo_runtime::pipeline::network::ingress::push_handler';

/** How one request is told of: as a span, and in log lines that belong to it. */
export interface RequestStory {
  /** Headers of the request, with the trace that it belongs to. */
  readonly headers: Readonly<Record<string, string>>;
  /** This hop's span, where there is one. */
  readonly spanId: string | undefined;
  /** Writes lines that carry the request's facts and its place in the trace. */
  log(): Logger;
  /** The handler failed. */
  failed(error: unknown): void;
  end(): void;
}

/** What is told of all requests of an endpoint. */
export interface StoryParts {
  readonly tracer: Tracer | undefined;
  readonly log: Logger;
  readonly endpoint: EndpointName & { readonly id: bigint };
}

/** Begins the story of a request with its first line (spec runtime-wire 11). */
export function tellRequest(
  { tracer, log, endpoint }: StoryParts,
  request: { readonly control: { readonly id: string }; readonly headers: Readonly<Record<string, string>> },
): RequestStory {
  const { headers } = request;
  const { traceparent, tracestate } = headers;
  // Made where somebody wants them: most requests are told of to nobody.
  const facts = () => ({
    request_id: request.control.id,
    component: endpoint.component,
    endpoint: endpoint.endpoint,
    namespace: endpoint.namespace,
    instance_id: String(endpoint.id),
    x_request_id: headers['x-request-id'],
  });
  const span = tracer?.start('handle_payload', { kind: 'server', parent: traceparent, tracestate, attributes: facts() });
  const told = (): LogFields => span?.facts() ?? { span_name: 'handle_payload', 'otel.kind': 'server', ...facts() };
  let own: Logger | undefined;
  const requestLog = (): Logger => (own ??= log.child?.({ target, ...told() }) ?? log);
  const tells = log.isLevelEnabled?.('info') === true;
  if (tells) requestLog().info({}, 'request received');
  span?.event('request received');
  return {
    // A trace that begins here is told to the handler as one that came with the request.
    headers: span === undefined || traceparent?.includes(span.traceId) === true ? headers : { ...headers, traceparent: span.traceparent },
    spanId: span?.spanId,
    log: requestLog,
    failed(error) {
      span?.fail(DynamoError.from(error).code);
    },
    end() {
      if (tells) requestLog().info({}, 'request completed');
      span?.event('request completed');
      span?.end();
    },
  };
}

/** The parts of the stories of one endpoint; whether its lines are wanted at all is asked once. */
export const storiesOf = (parts: StoryParts): StoryParts => ({ ...parts, log: speakingFor(parts.log, target) });
