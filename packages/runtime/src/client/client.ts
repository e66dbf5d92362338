import { randomUUID } from 'node:crypto';
import { itemsOf } from '../async/batches.ts';
import { checkCallOptions, checkClientOptions } from '../check-options.ts';
import type { Discovery } from '../discovery/discovery.ts';
import type { Instance, InstanceId } from '../endpoint/instance.ts';
import { type EndpointPath, type EndpointName, parseEndpointPath } from '../endpoint/path.ts';
import { DynamoError } from '../error.ts';
import type { Settings } from '../options.ts';
import type { EventPlane } from '../planes/events/event-plane.ts';
import type { RequestSender } from '../planes/request/request-plane.ts';
import type { InputWriter, ItemReader, ResponseListener, ResponseStream } from '../planes/response/response-plane.ts';
import { codecs } from '../wire/codec.ts';
import { type CallHome, encodeControl } from '../wire/control.ts';
import { apartBytes, encodeTwoPart, encodeTwoPartHead } from '../wire/two-part.ts';
import { Affinity, sessionOf } from './affinity.ts';
import { CallRecord, type CallRecorder } from './call-record.ts';
import { isInstanceFault } from './faults.ts';
import { InstanceSet } from './instances.ts';
import { policies } from './policy/index.ts';
import { type SharedSessions, shareSessions } from './shared-sessions.ts';
import type { Bound, SessionsOptions } from './sessions.ts';
import type { SessionEvent } from '../wire/session-event.ts';
import { inputError, isStream, sendInput, type SentInput } from './send-input.ts';
import type { CallOptions, Client, ClientOptions, Route, RoutePolicy } from './types.ts';
import { isStopped, throwIfCancelled, watchCall } from './watch-call.ts';

/** What a runtime lends to its clients. */
export interface ClientParts {
  readonly settings: Settings;
  readonly discovery: Discovery;
  readonly sender: RequestSender;
  readonly responses: () => Promise<ResponseListener>;
  readonly events: EventPlane;
  /** Asked once a client. */
  readonly calls: () => CallRecorder;
  /** Told when a client has been disposed. */
  readonly onClosed?: (client: AsyncDisposable) => void;
}

/** How siblings open a client whose requests and items have a wire form of their own. */
export interface TypedClientOptions<Req> extends ClientOptions {
  /** Turns a request, or each item of one that is a stream, into its wire value; as it is by default. */
  encodeRequest?: (request: Req) => unknown;
  /** Reads an item straight from msgpack bytes where it can. */
  readItem?: ItemReader;
  /**
   * Asks the policy for every call: also for one that names its instance, which it finds in `instance`, for one whose session
   * is bound, and where no candidate is left. It gets all candidates each time.
   */
  policyDecides?: boolean;
  /** Tells the other clients of the endpoint of sessions, and hears of theirs; only with `affinity`. */
  sharesSessions?: boolean;
}

/** A call as a policy that decides everything sees it: `rank` is that of its session's binding. */
export type BoundCall = CallOptions & { readonly rank?: number };

/** The sessions that a client keeps: what it has, and where another's word is taken. */
export interface SessionTable {
  entries(): Iterable<SessionEvent>;
  heard(event: SessionEvent): void;
}

/** The sessions of a client, for siblings that carry them from one process to the next; undefined where none are kept. */
export let sessionsOf: (client: object) => SessionTable | undefined;

/** Opens a client and begins to watch its endpoint. */
export function openEndpointClient<Req, Res>(parts: ClientParts, path: EndpointPath, options: TypedClientOptions<Req> = {}): Client<Req, Res> {
  const name = parseEndpointPath(path);
  checkClientOptions(options, Object.keys(policies));
  const { quarantineMs, log } = parts.settings;
  return new EndpointClient(parts, new InstanceSet(parts.discovery, name, { quarantineMs, log }), { ...options, name });
}

class EndpointClient<Req, Res> implements Client<Req, Res> {
  static {
    sessionsOf = (client) => (client instanceof EndpointClient ? client.#affinity : undefined);
  }

  readonly #parts: ClientParts;
  readonly #set: InstanceSet;
  readonly #options: TypedClientOptions<Req> & { readonly name: EndpointName };
  readonly #policy: RoutePolicy;
  readonly #affinity: Affinity | undefined;
  #shared: SharedSessions | undefined;
  readonly #name: string;
  readonly #calls: CallRecorder;

  constructor(parts: ClientParts, set: InstanceSet, options: TypedClientOptions<Req> & { name: EndpointName }) {
    this.#parts = parts;
    this.#calls = parts.calls();
    this.#set = set;
    this.#options = options;
    this.#policy = typeof options.policy === 'object' ? options.policy : policies[options.policy ?? 'round-robin'](parts.settings);
    if (options.affinity !== undefined) this.#affinity = new Affinity(options.affinity, set, this.#sharing());
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

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#shared?.[Symbol.asyncDispose]();
    await this.#set[Symbol.asyncDispose]();
    this.#parts.onClosed?.(this);
  }

  async *#call(request: Req, call: CallOptions): AsyncGenerator<readonly Res[]> {
    checkCallOptions(call);
    throwIfCancelled(call);
    using record = new CallRecord(this.#calls);
    const route = await this.#route(request, call);
    let outcome: unknown;
    let complete = false;
    try {
      const instance = this.#find(route.instance);
      const responses = await this.#parts.responses();
      throwIfCancelled(call);
      this.#checkStillThere(instance);
      const { codec } = instance;
      const sent = (route.request as Req | undefined) ?? request;
      const home = { address: responses.address, subject: randomUUID() };
      const readItem = codec === 'msgpack' ? this.#options.readItem : undefined;
      // Expected before the request leaves: acknowledgement and call-home race on two sockets.
      const stream = responses.expect(home.subject, { codec, readItem, kill: call.context?.killSignal });
      const input = isStream(sent) ? { address: home.address, subject: randomUUID() } : undefined;
      const writer = input === undefined ? undefined : responses.expectInput(input.subject);
      const attached = (): boolean => stream.attached && writer?.attached !== false;
      using watch = watchCall(stream, { instance, call, set: this.#set, callHomeMs: this.#parts.settings.timeouts.callHomeMs, attached });
      using _input =
        writer === undefined
          ? undefined
          : this.#sendInput(sent as AsyncIterable<unknown>, {
              instance,
              writer,
              stream,
              word: () => (complete || isStopped(call) ? 'stop' : 'kill'),
            });
      this.#send({ request: sent, instance, call, stream, home, record, ...(input === undefined ? {} : { input }) });
      for (;;) {
        watch.waiting();
        const batch = await stream.next();
        if (batch === undefined) break;
        watch.arrived();
        record.arrived();
        if (route.seen !== undefined) for (const item of batch) route.seen(item);
        yield batch as readonly Res[];
      }
      complete = true;
      record.completed();
    } catch (error) {
      outcome = error;
      record.failed(error);
      this.#blame(route.instance, error);
      throw error;
    } finally {
      route.done?.(outcome);
    }
  }

  /** What makes the sessions of this client those of all that share them. */
  #sharing(): Omit<SessionsOptions, 'ttlMs'> {
    if (this.#options.sharesSessions !== true) return {};
    const { events, discovery, settings } = this.#parts;
    const shared = shareSessions({ events, log: settings.log }, this.#options.name, (event) => this.#affinity?.heard(event));
    this.#shared = shared;
    return { writer: discovery.instanceId, version: BigInt(Date.now()) * 1_000_000n, tell: (event) => shared.tell(event) };
  }

  #find(id: InstanceId): Instance {
    const instance = this.#set.find(id);
    if (instance === undefined) throw new DynamoError('cannot_connect', `instance_id=${id} not found for endpoint ${this.#name}`);
    return instance;
  }

  /** Nobody would hear of an instance that left while the call was on its way to it. */
  #checkStillThere(instance: Instance): void {
    if (this.#set.find(instance.id) !== undefined) return;
    throw new DynamoError('disconnected', `instance_id=${instance.id} of endpoint ${this.#name} left before the request could be sent`);
  }

  /** Sends the items of a request beside it; a source that fails ends the answer with its own error. */
  #sendInput(
    source: AsyncIterable<unknown>,
    to: { instance: Instance; writer: InputWriter; stream: ResponseStream; word: () => 'stop' | 'kill' },
  ): SentInput {
    const codec = codecs[to.instance.codec];
    const { encodeRequest } = this.#options;
    return sendInput(source, to.writer, {
      encode: encodeRequest === undefined ? codec.encode : (item) => codec.encode(encodeRequest(item as Req)),
      onFailure: (error) => to.stream.fail(inputError(error)),
      word: to.word,
    });
  }

  /** Keeps an instance out of routing for a while when the failure is its own (spec runtime-wire 10). */
  #blame(id: InstanceId, error: unknown): void {
    if (DynamoError.is(error, 'worker_overloaded') && error.message.startsWith('Server overloaded:')) this.#set.overload(id);
    else if (isInstanceFault(error)) this.#set.quarantine(id);
  }

  #route(request: Req, call: CallOptions): Route | Promise<Route> {
    const session = this.#affinity === undefined ? undefined : sessionOf(call);
    if (this.#affinity === undefined || session === undefined) return this.#choose(request, call);
    return this.#affinity.route({
      session,
      pin: call.instance,
      choose: (settled) => (settled === undefined ? this.#choose(request, call) : this.#keep(request, settled, call)),
    });
  }

  /** Tells the policy of a call whose instance is settled. */
  #keep(request: Req, { instance, rank }: Bound, call: CallOptions): Route | Promise<Route> {
    this.#checkNotOverloaded(instance);
    const bound: BoundCall = { ...call, instance, ...(rank === undefined ? {} : { rank }) };
    const candidates = this.#options.policyDecides === true ? this.#set.routable().candidates : [this.#find(instance)];
    return this.#policy.pick(request, candidates, bound);
  }

  #checkNotOverloaded(id: InstanceId): void {
    if (this.#set.isOverloaded(id)) throw new DynamoError('worker_overloaded', 'Selected worker is overloaded, please retry later');
  }

  #choose(request: Req, call: CallOptions): Route | Promise<Route> {
    if (this.#options.policyDecides === true) {
      if (call.instance !== undefined) this.#checkNotOverloaded(call.instance);
      return this.#policy.pick(request, this.#set.routable().candidates, call);
    }
    if (call.instance !== undefined) {
      this.#checkNotOverloaded(call.instance);
      return { instance: call.instance };
    }
    const { candidates, overloaded } = this.#set.routable();
    if (candidates.length > 0) return this.#policy.pick(request, candidates, call);
    if (overloaded) throw new DynamoError('resource_exhausted', 'All workers are busy, please retry later');
    throw new DynamoError('unavailable', `No workers available for endpoint ${this.#name}`, {
      data: { endpoint: this.#name, quarantined: this.#set.all.length },
    });
  }

  #send(sending: {
    request: Req;
    instance: Instance;
    call: CallOptions;
    stream: ResponseStream;
    home: CallHome;
    record: CallRecord;
    input?: CallHome;
  }): void {
    const { instance, call, stream, record, input } = sending;
    const { context } = call;
    const id = call.id ?? context?.id ?? randomUUID();
    const metadata = call.metadata ?? context?.metadata;
    const { encodeRequest } = this.#options;
    const header = encodeControl({
      id,
      codec: instance.codec,
      response: sending.home,
      ...(input === undefined ? {} : { input }),
      ...(metadata === undefined ? {} : { metadata }),
    });
    const item = (): unknown => (encodeRequest === undefined ? sending.request : encodeRequest(sending.request));
    const message = input === undefined ? messageOf(header, codecs[instance.codec].encode(item())) : { payload: encodeTwoPart({ header }) };
    const policy =
      call.instance !== undefined ? 'direct' : typeof this.#options.policy === 'object' ? 'custom' : (this.#options.policy ?? 'round-robin');
    const trace = record.leaves({ id, instance: instance.id, call, policy });
    const headers = { ...context?.traceHeaders(), ...call.headers, ...trace, 'request-id': id, 'x-frontend-send-ts-ns': `${Date.now()}000000` };
    const { maxFrameBytes } = this.#parts.settings.request;
    this.#parts.sender.send({ transport: instance.transport, headers, ...message, maxFrameBytes }, (refused) => {
      record.acknowledged();
      // A worker that has called home has taken the request, whatever becomes of its acknowledgement.
      if (refused !== undefined && !stream.attached) stream.fail(refused);
    });
  }
}

/** A message as a plane takes it: a large body stays where it is. */
const messageOf = (header: Uint8Array, body: Uint8Array): { payload: Uint8Array; body?: Uint8Array } =>
  body.length < apartBytes ? { payload: encodeTwoPart({ header, body }) } : { payload: encodeTwoPartHead({ header, bodyBytes: body.length }), body };
