import { Metrics } from '@dynamo/metrics';
import { countCalls } from '../../metrics/caller-metrics.ts';
import { mem, MemStore } from '../../discovery/mem/index.ts';
import type { Instance } from '../../endpoint/instance.ts';
import type { DynamoError } from '../../error.ts';
import { settle, type Settings } from '../../options.ts';
import { MemEvents, memEvents } from '../../planes/events/mem/index.ts';
import type { OutgoingRequest, RequestSender } from '../../planes/request/request-plane.ts';
import type { ResponseListener, ResponseStream } from '../../planes/response/response-plane.ts';
import { encodeInstance } from '../../wire/discovery-record.ts';
import type { ClientParts } from '../client.ts';

/** An instance of `demo.backend.generate` at an address that only tests know. */
export const instanceOf = (id: bigint): Instance => ({
  id,
  namespace: 'demo',
  component: 'backend',
  endpoint: 'generate',
  transport: { tcp: `${id}/path` },
  codec: 'msgpack',
});

/** The id of the instance that a request was sent to. */
export const sentTo = (request: OutgoingRequest): bigint => BigInt((request.transport as { tcp: string }).tcp.split('/')[0] ?? '');

/** How an instance that takes no connection answers a request: a refusal, or a batch of items and the end. */
export type Answer = DynamoError | readonly unknown[] | 'silence';

/** A client's surroundings without sockets: real discovery in memory, and instances that answer as the test says. */
export function stubWire(answer: (request: OutgoingRequest) => Answer, settings: Partial<Settings> = {}) {
  const discovery = mem(new MemStore());
  const sent: bigint[] = [];
  const streams: StubStream[] = [];
  const sender: RequestSender = {
    send(request, onAck) {
      sent.push(sentTo(request));
      const answered = answer(request);
      if (answered === 'silence') return onAck(undefined);
      if (Array.isArray(answered)) streams.at(-1)?.finish(answered);
      onAck(Array.isArray(answered) ? undefined : (answered as DynamoError));
    },
    [Symbol.dispose]() {},
  };
  const responses: ResponseListener = {
    address: '127.0.0.1:1',
    expect() {
      const stream = new StubStream();
      streams.push(stream);
      return stream;
    },
    expectInput() {
      throw new Error('no test streams a request over this stub');
    },
    async [Symbol.asyncDispose]() {},
  };
  const calls = { metrics: countCalls(new Metrics()), tracer: undefined };
  const parts: ClientParts = {
    settings: { ...settle({ discovery: 'mem' }, {}), ...settings },
    discovery,
    sender,
    responses: async () => responses,
    events: memEvents(new MemEvents()),
    calls: () => calls,
  };
  const put = (id: bigint): Promise<AsyncDisposable> => discovery.put(encodeInstance(instanceOf(id)));
  return { parts, discovery, sent, streams, put, [Symbol.asyncDispose]: () => discovery[Symbol.asyncDispose]() };
}

/** A response stream that the test ends. */
class StubStream implements ResponseStream {
  attached = false;
  left = false;
  failedWith: 'stop' | 'kill' | undefined;
  #batches: (readonly unknown[])[] = [];
  readonly #end = Promise.withResolvers<void>();

  finish(items: readonly unknown[]): void {
    this.attached = true;
    if (items.length > 0) this.#batches.push(items);
    this.#end.resolve();
  }

  async next(): Promise<readonly unknown[] | undefined> {
    await this.#end.promise;
    return this.#batches.shift();
  }

  fail(error: DynamoError, how: 'stop' | 'kill' = 'kill'): void {
    this.failedWith ??= how;
    this.#end.promise.catch(() => {});
    this.#end.reject(error);
  }

  leave(): void {
    this.left = true;
  }
}
