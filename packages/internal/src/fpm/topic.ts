import type { EndpointPath } from '@dynamo/runtime';
import { type EventScope, parseEndpointPath } from '@dynamo/runtime/internal';

/** Where forward-pass metrics travel (spec kv-router 16.4). */
export const forwardPassTopic = 'forward-pass-metrics';

/** Where the events of an endpoint belong. */
export function scopeOf(path: EndpointPath): Required<EventScope> {
  const { namespace, component, endpoint } = parseEndpointPath(path);
  return { namespace, component, endpoint };
}
