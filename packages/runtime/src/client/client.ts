import { randomUUID } from 'node:crypto';
import { itemsOf } from '../async/batches.ts';
import type { Discovery } from '../discovery/discovery.ts';
import type { Instance } from '../endpoint/instance.ts';
import { type EndpointPath, type EndpointName, parseEndpointPath } from '../endpoint/path.ts';
import { DynamoError } from '../error.ts';
import type { Settings } from '../options.ts';
import type { RequestSender } from '../planes/request/tcp/dial.ts';
import type { ResponseListener } from '../planes/response/tcp/listen.ts';
import { type ItemReader, ResponseReader } from '../planes/response/tcp/reader.ts';
import { codecs } from '../wire/codec.ts';
import { encodeControl } from '../wire/control.ts';
import { encodeRequestFrame } from '../wire/request-frame.ts';
import { encodeTwoPart } from '../wire/two-part.ts';
import { isInstanceFault } from './faults.ts';
import { InstanceSet } from './instances.ts';
import { policies } from './policy/index.ts';
import type { CallOptions, Client, ClientOptions, Route, RoutePolicy } from './types.ts';

/** What a runtime lends to its clients. */
export interface ClientParts {
  readonly settings: Settings;
  readonly discovery: Discovery;
  readonly sender: RequestSender;
  readonly responses: () => Promise<ResponseListener>;
}

/** How siblings open a client whose requests and items have a wire form of their own. */
export interface TypedClientOptions<Req> extends ClientOptions {
  /** Turns a request into its wire value; as it is by default. */
  encodeRequest?: (request: Req) => unknown;
  /** Reads an item straight from msgpack bytes where it can. */
  readItem?: ItemReader;
}

/** Opens a client and begins to watch its endpoint. */
export function openEndpointClient<Req, Res>(parts: ClientParts, path: EndpointPath, options: TypedClientOptions<Req> = {}): Client<Req, Res> {
  const name = parseEndpointPath(path);
  const { quarantineMs, log } = parts.settings;
  return new EndpointClient(parts, new InstanceSet(parts.discovery, name, { quarantineMs, log }), { ...options, name });
}

class EndpointClient<Req, Res> implements Client<Req, Res> {
  readonly #parts: ClientParts;
  readonly #set: InstanceSet;
  readonly #options: TypedClientOptions<Req>;
  readonly #policy: RoutePolicy;
  readonly #name: string;

  constructor(parts: ClientParts, set: InstanceSet, options: TypedClientOptions<Req> & { name: EndpointName }) {
    this.#parts = parts;
    this.#set = set;
    this.#options = options;
    this.#policy = typeof options.policy === 'object' ? options.policy : policies[options.policy ?? 'round-robin']();
    this.#name = `${options.name.namespace}/${options.name.component}/${options.name.endpoint}`;
  }

  get instances(): readonly Instance[] {
    return this.#set.all;
  }

  ready(options?: { min?: number; signal?: AbortSignal }): Promise<readonly Instance[]> {
    return this.#set.ready(options);
  }

  generate(request: Req, options: CallOptions = {}): AsyncIterable<Res> {
    return itemsOf(() => this.#call(request, options));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#set[Symbol.asyncDispose]();
  }

  async *#call(request: Req, call: CallOptions): AsyncGenerator<readonly Res[]> {
    if (call.signal?.aborted === true) throw cancelled(call.signal);
    const route = await this.#route(request, call);
    const instance = this.#set.find(route.instance);
    if (instance === undefined) throw new DynamoError('cannot_connect', `instance_id=${route.instance} not found for endpoint ${this.#name}`);
    const responses = await this.#parts.responses();
    const reader = new ResponseReader({ codec: instance.codec, readItem: instance.codec === 'msgpack' ? this.#options.readItem : undefined });
    let outcome: unknown;
    using _watch = this.#guard(reader, instance, call);
    using _expected = this.#send({ request: (route.request as Req | undefined) ?? request, instance, call, reader, responses });
    try {
      for (let batch = await reader.next(); batch !== undefined; batch = await reader.next()) {
        if (route.seen !== undefined) for (const item of batch) route.seen(item);
        yield batch as readonly Res[];
      }
    } catch (error) {
      outcome = error;
      if (DynamoError.is(error, 'worker_overloaded') && error.message.startsWith('Server overloaded:')) this.#set.overload(instance.id);
      else if (isInstanceFault(error)) this.#set.quarantine(instance.id);
      throw error;
    } finally {
      reader.leave();
      route.done?.(outcome);
    }
  }

  async #route(request: Req, call: CallOptions): Promise<Route> {
    if (call.instance !== undefined) {
      if (this.#set.isOverloaded(call.instance)) throw new DynamoError('worker_overloaded', 'Selected worker is overloaded, please retry later');
      return { instance: call.instance };
    }
    const { candidates, overloaded } = this.#set.routable();
    if (candidates.length > 0) return this.#policy.pick(request, candidates, call);
    if (overloaded) throw new DynamoError('resource_exhausted', 'All workers are busy, please retry later');
    throw new DynamoError('unavailable', `No workers available for endpoint ${this.#name}`, {
      data: { endpoint: this.#name, quarantined: this.#set.all.length },
    });
  }

  /** Registers the stream before the request leaves: acknowledgement and call-home race on two sockets. */
  #send(sending: { request: Req; instance: Instance; call: CallOptions; reader: ResponseReader; responses: ResponseListener }): Disposable {
    const { instance, call, reader, responses } = sending;
    if (!('tcp' in instance.transport)) throw new DynamoError('cannot_connect', `instance ${instance.id} is not reachable over TCP`);
    const slash = instance.transport.tcp.indexOf('/');
    const path = instance.transport.tcp.slice(slash + 1);
    const id = call.id ?? randomUUID();
    const subject = randomUUID();
    const { encodeRequest } = this.#options;
    const body = codecs[instance.codec].encode(encodeRequest === undefined ? sending.request : encodeRequest(sending.request));
    const header = encodeControl({
      id,
      codec: instance.codec,
      response: { address: responses.address, subject },
      ...(call.metadata === undefined ? {} : { metadata: call.metadata }),
    });
    const headers = { 'request-id': id, 'x-endpoint-path': path, 'x-frontend-send-ts-ns': `${Date.now()}000000` };
    const frame = encodeRequestFrame({ path, headers, payload: encodeTwoPart({ header, body }) }, this.#parts.settings.request.maxFrameBytes);
    const expected = responses.expect(subject, reader);
    this.#parts.sender.send(instance.transport.tcp.slice(0, slash), frame, (refused) => {
      if (refused !== undefined && !reader.attached) reader.fail(refused);
    });
    return expected;
  }

  /** Everything that may end a call from outside: its signal, its limits, its instance's departure. */
  #guard(reader: ResponseReader, instance: Instance, call: CallOptions): Disposable {
    const { callHomeMs } = this.#parts.settings.timeouts;
    const home = setTimeout(() => {
      if (!reader.attached)
        reader.fail(new DynamoError('connection_timeout', `instance ${instance.id} took the request and did not call home within ${callHomeMs} ms`));
    }, callHomeMs);
    const whole =
      call.timeoutMs === undefined
        ? undefined
        : setTimeout(() => reader.fail(new DynamoError('response_timeout', `no complete answer within ${call.timeoutMs} ms`)), call.timeoutMs);
    const gone = this.#set.onGone((id) => {
      if (id === instance.id && !reader.attached)
        reader.fail(new DynamoError('disconnected', 'Worker disconnected before response stream was established'));
    });
    const { signal } = call;
    const onAbort = (): void => {
      const error = cancelled(signal);
      reader.fail(error, error.data['kind'] === 'kill' ? 'kill' : 'stop');
    };
    signal?.addEventListener('abort', onAbort, { once: true });
    return {
      [Symbol.dispose]() {
        clearTimeout(home);
        clearTimeout(whole);
        gone[Symbol.dispose]();
        signal?.removeEventListener('abort', onAbort);
      },
    };
  }
}

const cancelled = (signal: AbortSignal | undefined): DynamoError =>
  DynamoError.is(signal?.reason, 'cancelled') ? signal.reason : new DynamoError('cancelled', 'the call was cancelled', { cause: signal?.reason });
