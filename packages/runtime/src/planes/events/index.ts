import { batchesOf, itemsOf } from '../../async/batches.ts';
import { DynamoError } from '../../error.ts';
import type { Logger } from '../../log.ts';
import type { NatsLink } from '../nats/connection.ts';
import { newCounts } from './counts.ts';
import type { EventDirectory } from './directory.ts';
import type { EventPlane } from './event-plane.ts';
import { memEvents } from './mem/index.ts';
import { natsEvents } from './nats/index.ts';
import { zmqEvents } from './zmq/index.ts';

/** How a runtime's event plane is set up; `Settings.events` without the plane's name. */
export interface EventSettings {
  /** The host that ZMQ publishers advertise. */
  readonly host: string;
  /** The addresses of ZMQ brokers as `DYN_ZMQ_BROKER_URL` writes them, or that discovery knows them; undefined without brokers. */
  readonly broker: string | 'discover' | undefined;
  /** How many changes may wait for the reader of a subscription. */
  readonly capacity: number;
}

/** What a plane may need to open. */
export interface EventPlaneOptions extends EventSettings {
  readonly directory: EventDirectory;
  readonly nats: NatsLink;
  readonly log: Logger;
}

/** Every event plane by name: a new one is one folder and one line here. */
export const eventPlanes: Readonly<Record<EventPlaneName, (options: EventPlaneOptions) => Promise<EventPlane>>> = {
  zmq: zmqEvents,
  nats: natsEvents,
  mem: async (options) => memEvents(undefined, options),
};

/** Names of the event planes that exist. */
export type EventPlaneName = 'zmq' | 'nats' | 'mem';

/** A plane that opens another when it is first used, so that a runtime without events loads no library for them. */
export function lazyEvents(open: () => Promise<EventPlane>): EventPlane {
  const unused = newCounts();
  let plane: EventPlane | undefined;
  let opening: Promise<EventPlane> | undefined;
  let closed = false;
  const opened = async (): Promise<EventPlane> => {
    if (closed) throw new DynamoError('unavailable', 'the runtime is shutting down');
    opening ??= open().catch((error: unknown) => {
      // A server that could not be reached may be there at the next try.
      opening = undefined;
      throw error;
    });
    return (plane = await opening);
  };
  return {
    get counts() {
      return plane?.counts ?? unused;
    },
    publish: async (scope, topic) => (await opened()).publish(scope, topic),
    subscribe: (scope, topic, options) =>
      itemsOf(async function* () {
        if (!options.signal.aborted) yield* batchesOf((await opened()).subscribe(scope, topic, options));
      }),
    async [Symbol.asyncDispose]() {
      closed = true;
      await (await opening?.catch(() => undefined))?.[Symbol.asyncDispose]();
    },
  };
}
