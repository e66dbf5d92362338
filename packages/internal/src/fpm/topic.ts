import type { EndpointPath, Logger } from '@dynamo/runtime';
import { type DiscoveryHost, type EventPlane, type EventScope, parseEndpointPath } from '@dynamo/runtime/internal';

/** Where forward-pass metrics travel (spec kv-router 16.4). */
export const forwardPassTopic = 'forward-pass-metrics';

/** What forward-pass metrics travel over; a `DistributedRuntime` is one. */
export interface PassHost extends DiscoveryHost {
  readonly events: EventPlane;
  readonly log: Logger;
}

/** Where the events of an endpoint belong. */
export function scopeOf(path: EndpointPath): Required<EventScope> {
  const { namespace, component, endpoint } = parseEndpointPath(path);
  return { namespace, component, endpoint };
}
