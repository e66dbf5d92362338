import { DynamoError } from '../../error.ts';
import type { Instance } from '../../endpoint/instance.ts';
import type { RequestPlaneName } from './index.ts';
import type { RequestSender } from './request-plane.ts';

/** Sends every request over the plane that its instance speaks, for a fleet may mix them; a plane opens at its first request. */
export function openSenders(dial: Readonly<Record<RequestPlaneName, () => RequestSender>>): RequestSender {
  const opened = new Map<RequestPlaneName, RequestSender>();
  let disposed = false;
  return {
    send(request, onAck) {
      if (disposed) return onAck(new DynamoError('unavailable', 'the runtime is shutting down'));
      const name = planeOf(request.transport);
      let sender = opened.get(name);
      if (sender === undefined) opened.set(name, (sender = dial[name]()));
      sender.send(request, onAck);
    },
    [Symbol.dispose]() {
      disposed = true;
      for (const sender of opened.values()) sender[Symbol.dispose]();
    },
  };
}

const planeOf = (transport: Instance['transport']): RequestPlaneName => ('nats' in transport ? 'nats' : 'tcp');
