import type { NatsLink } from './nats/connection.ts';

/** What a runtime lends to its planes. */
export interface PlaneParts {
  readonly nats: NatsLink;
}
