import type { EventPlane } from '../event-plane.ts';
import { newCounts } from '../counts.ts';
import type { EventPlaneOptions } from '../index.ts';
import { Publishers } from '../publisher.ts';
import { Subscriptions } from '../subscription.ts';
import { type BrokerAddresses, findBrokers, listenBrokered, parseBrokerUrl } from './broker.ts';
import { listenDirect } from './direct.ts';
import { openBrokered, openDirect } from './publisher.ts';

/** Events over ZMQ sockets (spec runtime-wire 13.2): straight from each publisher to each subscriber, or through brokers. */
export async function zmqEvents(options: EventPlaneOptions): Promise<EventPlane> {
  const { directory, host, broker, capacity, log } = options;
  const fixed = broker === undefined || broker === 'discover' ? undefined : parseBrokerUrl(broker);
  const brokersOf = async (namespace: string): Promise<BrokerAddresses | undefined> =>
    fixed ?? (broker === 'discover' ? findBrokers(directory, namespace) : undefined);
  const zmq = await import('zeromq');
  const counts = newCounts();
  const publishers = new Publishers();
  const subscriptions = new Subscriptions({ capacity, counts, log });
  return {
    counts,
    publish: (scope, topic) =>
      publishers.add(async () => {
        const brokers = await brokersOf(scope.namespace);
        const shared = { zmq, log, scope, topic };
        return brokers === undefined ? openDirect({ ...shared, directory, host }) : openBrokered({ ...shared, xsub: brokers.xsub });
      }),
    subscribe(scope, topic, subscribing) {
      const shared = { zmq, scope, topic };
      if (broker === undefined) {
        return subscriptions.open({ ...subscribing, onlyExpected: true }, (feed, signal) =>
          listenDirect({ ...shared, directory, log }, feed, signal),
        );
      }
      // One broker brings a message once; that it may be one of several is known only when they are looked up.
      return subscriptions.open({ ...subscribing, mayRepeat: fixed === undefined || fixed.xpub.length > 1 }, async (feed, signal) => {
        const { xpub } = fixed ?? (await findBrokers(directory, scope.namespace));
        await listenBrokered({ ...shared, xpub }, feed, signal);
      });
    },
    async [Symbol.asyncDispose]() {
      await publishers[Symbol.asyncDispose]();
      await subscriptions[Symbol.asyncDispose]();
    },
  };
}
