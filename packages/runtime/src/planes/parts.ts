import type { Tls } from '../net/tls.ts';
import type { NatsLink } from './nats/connection.ts';

/** What a runtime lends to its planes. */
export interface PlaneParts {
  readonly nats: NatsLink;
  /** TLS of what travels over TCP. */
  readonly tls: Tls;
}
