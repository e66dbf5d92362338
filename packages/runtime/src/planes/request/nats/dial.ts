import type { Msg, MsgHdrs, NatsConnection, Subscription } from '@nats-io/transport-node';
import { DynamoError } from '../../../error.ts';
import type { NatsLink } from '../../nats/connection.ts';
import { readRefusal } from '../refusal.ts';
import type { OnAck, OutgoingRequest, RequestDialOptions, RequestSender } from '../request-plane.ts';

/** How much may wait for acknowledgements, in bytes: what the server does not take waits in this process. */
const defaultMaxUnsentBytes = 256 * 1024 * 1024;

/** After the server came back its workers come back too, a little later: so long, in milliseconds, nobody is a reason to wait. */
const comebackMs = 3_000;
const againMs = 100;

/** What stands around and between the headers of a message (`NATS/1.0`, line ends, colons), in bytes. */
const headerFrameBytes = 12;
const headerLineBytes = 4;

/** A request that has no acknowledgement yet. */
interface Pending {
  readonly request: OutgoingRequest;
  readonly subject: string;
  readonly onAck: OnAck;
  readonly since: number;
  readonly bytes: number;
  overdue: boolean;
}

/** What is there once the connection is. */
interface Outlet {
  readonly connection: NatsConnection;
  readonly inbox: string;
  readonly replies: Subscription;
  readonly newHeaders: () => MsgHdrs;
}

/** Opens the request plane's sending side; the runtime's connection opens with the first request. */
export function dialRequests(link: NatsLink, options: RequestDialOptions): RequestSender {
  return new NatsRequestSender(link, options);
}

/**
 * Requests with a reply subject each, below one inbox. While the server is away they are held for as long as an
 * acknowledgement may take; those that were sent before it went are refused at once, for nobody knows whether they arrived.
 */
class NatsRequestSender implements RequestSender {
  readonly #link: NatsLink;
  readonly #ackMs: number;
  readonly #maxUnsentBytes: number;
  readonly #sent = new Map<string, Pending>();
  readonly #changes: Disposable;
  readonly #checking: NodeJS.Timeout;
  #held: Pending[] = [];
  #bytes = 0;
  #count = 0;
  #backSince = Number.NEGATIVE_INFINITY;
  #outlet: Outlet | undefined;
  #opening = false;
  #again: NodeJS.Timeout | undefined;
  #disposed = false;

  constructor(link: NatsLink, { ackMs, maxUnsentBytes = defaultMaxUnsentBytes }: RequestDialOptions) {
    this.#link = link;
    this.#ackMs = ackMs;
    this.#maxUnsentBytes = maxUnsentBytes;
    this.#changes = link.onChange((connected) => (connected ? this.#back() : this.#lost()));
    this.#checking = setInterval(() => this.#check(), Math.max(20, ackMs / 10)).unref();
  }

  send(request: OutgoingRequest, onAck: OnAck): void {
    const { transport, payload, body } = request;
    if (this.#disposed) return onAck(new DynamoError('unavailable', 'the runtime is shutting down'));
    if (!('nats' in transport)) return onAck(new DynamoError('cannot_connect', 'the instance is not reachable over NATS', { data: { transport } }));
    const subject = transport.nats;
    if (!isSubject(subject)) return onAck(new DynamoError('cannot_connect', `request subject '${subject}' can't be sent to`));
    const bytes = payload.length + (body?.length ?? 0) + headerBytes(request.headers);
    const refused = this.#tooLarge(bytes, request.maxFrameBytes) ?? this.#tooMuch(bytes);
    if (refused !== undefined) return onAck(refused);
    this.#bytes += bytes;
    const pending: Pending = { request, subject, onAck, since: Date.now(), bytes, overdue: false };
    if (this.#outlet !== undefined && this.#link.connected) this.#publish(this.#outlet, pending);
    else this.#hold(pending);
  }

  [Symbol.dispose](): void {
    this.#disposed = true;
    this.#changes[Symbol.dispose]();
    clearInterval(this.#checking);
    clearTimeout(this.#again);
    this.#outlet?.replies.unsubscribe();
    for (const pending of this.#all()) this.#settle(pending, new DynamoError('unavailable', 'the runtime is shutting down'));
  }

  /** Takes everything that waits: whoever takes it settles it. */
  #all(): Pending[] {
    const all = [...this.#sent.values(), ...this.#held];
    this.#sent.clear();
    this.#held = [];
    return all;
  }

  #hold(pending: Pending): void {
    this.#held.push(pending);
    if (this.#outlet !== undefined || this.#opening) return;
    this.#opening = true;
    // Both ends are handled inside.
    void this.#open().finally(() => (this.#opening = false));
  }

  async #open(): Promise<void> {
    try {
      const connection = await this.#link.open();
      const { createInbox, headers } = await import('@nats-io/transport-node');
      if (this.#disposed) return;
      const inbox = `${createInbox()}.`;
      const replies = connection.subscribe(`${inbox}*`, { callback: (error, message) => this.#hear(error, message) });
      this.#outlet = { connection, inbox, replies, newHeaders: headers };
      if (this.#link.connected) this.#flush();
    } catch (error) {
      const held = this.#held;
      this.#held = [];
      for (const pending of held) this.#settle(pending, serverFault(error));
    }
  }

  #flush(): void {
    const held = this.#held;
    this.#held = [];
    if (this.#outlet !== undefined) for (const pending of held) this.#publish(this.#outlet, pending);
  }

  #publish({ connection, inbox, newHeaders }: Outlet, pending: Pending): void {
    const { request, subject } = pending;
    // What was held before the server's limit was known is measured now.
    const refused = this.#tooLarge(pending.bytes, request.maxFrameBytes);
    if (refused !== undefined) return this.#settle(pending, refused);
    const token = (this.#count++).toString(36);
    const headers = newHeaders();
    for (const name in request.headers) headers.set(name, request.headers[name] ?? '');
    this.#sent.set(token, pending);
    try {
      connection.publish(subject, request.body === undefined ? request.payload : Buffer.concat([request.payload, request.body]), {
        reply: inbox + token,
        headers,
      });
    } catch (error) {
      this.#sent.delete(token);
      this.#settle(pending, serverFault(error));
    }
  }

  #hear(error: Error | null, message: Msg): void {
    if (error !== null) {
      // The server forbids the inbox: no acknowledgement will ever come.
      for (const pending of this.#all()) this.#settle(pending, new DynamoError('permission_denied', error.message, { cause: error }));
      return;
    }
    const token = message.subject.slice(message.subject.lastIndexOf('.') + 1);
    const pending = this.#sent.get(token);
    if (pending === undefined) return; // It came too late, and was told as such.
    this.#sent.delete(token);
    const { data } = message;
    if (data.length > 0) this.#settle(pending, readRefusal(Buffer.from(data.buffer, data.byteOffset, data.length).toString()));
    else if (message.headers?.code === 503) this.#nobody(pending);
    else this.#settle(pending, undefined);
  }

  /** The server knows no subscriber of the subject. The request has not been seen by anybody, so it may be sent again. */
  #nobody(pending: Pending): void {
    if (Date.now() - this.#backSince < comebackMs) {
      this.#held.push(pending);
      this.#again ??= setTimeout(() => {
        this.#again = undefined;
        if (this.#link.connected) this.#flush();
      }, againMs);
      return;
    }
    const { subject } = pending;
    this.#settle(pending, new DynamoError('cannot_connect', `nobody takes requests at NATS subject ${subject}`, { data: { subject } }));
  }

  #settle(pending: Pending, refused: DynamoError | undefined): void {
    this.#bytes -= pending.bytes;
    pending.onAck(refused);
  }

  #back(): void {
    this.#backSince = Date.now();
    this.#flush();
  }

  #lost(): void {
    const sent = [...this.#sent.values()];
    this.#sent.clear();
    const error = serverFault(new DynamoError('disconnected', `NATS at ${this.#link.url} went away before the request was acknowledged`));
    for (const pending of sent) this.#settle(pending, error);
  }

  #tooLarge(bytes: number, maxFrameBytes: number): DynamoError | undefined {
    const server = this.#outlet?.connection.info?.max_payload ?? Number.POSITIVE_INFINITY;
    const limit = Math.min(server, maxFrameBytes);
    if (bytes <= limit) return undefined;
    const whose = limit === server ? `the NATS server's limit of ${limit} (max_payload)` : `the limit of ${limit}`;
    return new DynamoError('payload_too_large', `request of ${bytes} bytes passes ${whose}`, { data: { limit, actual: bytes } });
  }

  #tooMuch(bytes: number): DynamoError | undefined {
    const unsent = this.#bytes + bytes;
    if (unsent <= this.#maxUnsentBytes) return undefined;
    const message = `Server overloaded: NATS at ${this.#link.url} does not take requests, ${unsent} bytes wait for it`;
    return new DynamoError('worker_overloaded', message, { data: { unsent } });
  }

  /** Twice overdue is too late: the first time, the event loop may have been busy and the acknowledgement yet to be read. */
  #check(): void {
    const now = Date.now();
    const late = (pending: Pending): boolean => {
      if (now - pending.since < this.#ackMs) return false;
      const before = pending.overdue;
      pending.overdue = true;
      return before;
    };
    for (const [token, pending] of this.#sent) {
      if (!late(pending)) continue;
      this.#sent.delete(token);
      this.#settle(pending, timedOut(`NATS request to ${pending.subject} timed out`, this.#ackMs));
    }
    const held = this.#held.filter(late);
    if (held.length === 0) return;
    this.#held = this.#held.filter((pending) => !held.includes(pending));
    const error = serverFault(timedOut(`NATS at ${this.#link.url} did not come back in time to take the request`, this.#ackMs));
    for (const pending of held) this.#settle(pending, error);
  }
}

const timedOut = (message: string, ms: number): DynamoError => new DynamoError('connection_timeout', message, { data: { limit: 'ack', ms } });

/** A failure of the server between us is no reason to leave an instance alone: it answers as soon as the server does. */
function serverFault(error: unknown): DynamoError {
  const { code, message, data, cause } = DynamoError.from(error);
  return new DynamoError(code === 'unknown' ? 'unavailable' : code, message, { cause, data: { ...data, broken: false } });
}

function headerBytes(headers: Readonly<Record<string, string>>): number {
  let bytes = headerFrameBytes;
  for (const name in headers) bytes += Buffer.byteLength(name) + Buffer.byteLength(headers[name] ?? '') + headerLineBytes;
  return bytes;
}

/** One that a message can be published to, and that says nothing else to the server. */
const isSubject = (text: string): boolean => /^[^\s.*>]+(\.[^\s.*>]+)*$/.test(text);
