import { setTimeout as sleep } from 'node:timers/promises';
import type { Msg, NatsConnection, Subscription } from '@nats-io/transport-node';
import { DynamoError } from '../../../error.ts';
import type { Logger } from '../../../log.ts';
import type { EndpointIdentity } from '../../../wire/discovery-record.ts';
import type { NatsLink } from '../../nats/connection.ts';
import { offer } from '../refusal.ts';
import type { Accept, RequestListener, RequestListenOptions } from '../request-plane.ts';

/** The queue group of every worker (spec runtime-wire 8). */
const queue = 'q';

/** How long the server may take to confirm that it knows a subscription, or has forgotten it, in milliseconds. */
const confirmMs = 5_000;
const forgetMs = 1_000;

/** A subject that is served: without a handler it is on its way out, and refuses what is still on its way in. */
interface Inlet {
  accept: Accept | undefined;
  readonly subscription: Subscription;
}

/** `{ns}_{comp}.{ep}-{id hex}` (spec runtime-wire 8). The names that we serve need no change to be part of a subject. */
export const subjectOf = ({ namespace, component, endpoint, id }: EndpointIdentity): string =>
  `${namespace}_${component}.${endpoint}-${id.toString(16)}`;

/** Opens the request plane's receiving side on the runtime's connection. */
export async function listenForRequests(link: NatsLink, options: RequestListenOptions): Promise<RequestListener> {
  const connection = await link.open();
  const inlets = new Map<string, Inlet>();

  function subscribe(subject: string, accept: Accept): Inlet {
    const callback = (error: Error | null, message: Msg): void => {
      if (error === null) answer(message, inlet.accept, options);
      else options.log.error({ subject, error: error.message }, 'NATS does not let this worker take requests');
    };
    const inlet: Inlet = { accept, subscription: connection.subscribe(subject, { queue, callback }) };
    inlets.set(subject, inlet);
    return inlet;
  }

  async function remove(subject: string, inlet: Inlet): Promise<void> {
    inlet.accept = undefined;
    if (inlets.get(subject) === inlet) inlets.delete(subject);
    await forget(inlet.subscription);
  }

  return {
    address: link.url,
    locate(endpoint) {
      const subject = subjectOf(endpoint);
      return { path: subject, transport: { nats: subject } };
    },
    async handle(subject, accept) {
      const known = inlets.get(subject);
      const inlet = known ?? subscribe(subject, accept);
      inlet.accept = accept;
      if (known === undefined) {
        await confirm(connection, link).catch(async (error: unknown) => {
          await remove(subject, inlet);
          throw error;
        });
      }
      return {
        [Symbol.dispose]() {
          // What the server has delivered already is answered while it forgets the subject.
          if (inlet.accept === accept) void remove(subject, inlet);
        },
      };
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([...inlets].map(([subject, inlet]) => remove(subject, inlet)));
    },
  };
}

function answer(message: Msg, accept: Accept | undefined, { maxFrameBytes, log }: { maxFrameBytes: number; log: Logger }): void {
  const path = message.subject;
  const bytes = message.data.length;
  const refusal =
    bytes > maxFrameBytes
      ? `Read error: request of ${bytes} bytes passes the limit of ${maxFrameBytes}`
      : offer(accept, { headers: readHeaders(message), payload: Buffer.from(message.data) }, { path, log });
  if (refusal !== undefined && bytes > maxFrameBytes) log.warn({ path, bytes }, 'refused a request that is too large');
  message.respond(refusal);
}

function readHeaders({ headers }: Msg): Record<string, string> {
  const read: Record<string, string> = {};
  if (headers !== undefined) for (const [name, values] of headers) read[name] = values[0] ?? '';
  return read;
}

/** Waits until the server knows of everything before: an instance is published only when its requests will arrive. */
async function confirm(connection: NatsConnection, link: NatsLink): Promise<void> {
  const late = new AbortController();
  try {
    await Promise.race([
      connection.flush(),
      sleep(confirmMs, undefined, { signal: late.signal, ref: false }).then(() => {
        throw new Error(`no answer within ${confirmMs} ms`);
      }),
    ]);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new DynamoError('cannot_connect', `NATS at ${link.url} can't be reached: ${why}`, { cause: error, data: { url: link.url } });
  } finally {
    late.abort();
  }
}

/** A server that is gone has forgotten already. */
async function forget(subscription: Subscription): Promise<void> {
  const forgotten = subscription.drain().catch(() => {});
  await Promise.race([forgotten, sleep(forgetMs, undefined, { ref: false })]);
  subscription.unsubscribe();
}
