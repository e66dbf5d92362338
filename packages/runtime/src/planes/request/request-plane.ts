import type { Instance } from '../../endpoint/instance.ts';
import type { DynamoError } from '../../error.ts';
import type { Logger } from '../../log.ts';
import type { TransportMeter } from '../../metrics/caller-metrics.ts';
import type { Listener } from '../../net/listen.ts';
import type { EndpointIdentity } from '../../wire/discovery-record.ts';

/** One request as it came off the wire. */
export interface IncomingRequest {
  readonly headers: Readonly<Record<string, string>>;
  /** A two-part message, in memory that is the taker's alone. */
  readonly payload: Buffer;
}

/** Takes a request at once, or says why not: the text goes back as the refusal. */
export type Accept = (request: IncomingRequest) => string | undefined;

/** Where requests arrive: one a runtime, one path an endpoint. */
export interface RequestListener extends Listener {
  /** Where an endpoint of this listener is reached: the path for `handle`, and what its record says. */
  locate(endpoint: EndpointIdentity): { readonly path: string; readonly transport: Instance['transport'] };
  /** Accepts requests for a path, resolved when they will arrive; disposing refuses them from then on. */
  handle(path: string, accept: Accept): Promise<Disposable>;
}

/** One request on its way to an instance. */
export interface OutgoingRequest {
  /** Where the instance says it can be reached. */
  readonly transport: Instance['transport'];
  /** Text pairs that travel beside the payload. */
  readonly headers: Readonly<Record<string, string>>;
  /** A two-part message, or the beginning of a large one. */
  readonly payload: Uint8Array;
  /** The body of a large message, which follows the payload and is not copied: it is the plane's from now on. */
  readonly body?: Uint8Array;
  /** Largest frame that may leave, in bytes. */
  readonly maxFrameBytes: number;
}

/** Told once whether an instance took a request: undefined when it did. */
export type OnAck = (refused: DynamoError | undefined) => void;

/** Sends requests and hears their acknowledgements in order. Disposing refuses those that still wait. */
export interface RequestSender extends Disposable {
  /** Never throws: every failure is told to `onAck`. */
  send(request: OutgoingRequest, onAck: OnAck): void;
}

/** Options of a plane's receiving side. */
export interface RequestListenOptions {
  readonly host: string;
  readonly port: number;
  /** Largest frame that is taken, in bytes. */
  readonly maxFrameBytes: number;
  readonly log: Logger;
  /** How long a peer may take to go on with a frame that it has begun, or to take acknowledgements; default 30 000 ms. */
  readonly stallMs?: number;
}

/** Options of a plane's sending side. */
export interface RequestDialOptions {
  readonly connectMs: number;
  readonly ackMs: number;
  /** After so long without a byte a connection is closed; default 300 000 ms (spec runtime-wire 2). */
  readonly idleMs?: number;
  /** How much may wait for a worker that does not read, in bytes; default 256 MiB. */
  readonly maxUnsentBytes?: number;
  /** Counts what is sent and received. */
  readonly meter?: TransportMeter;
}

/** How requests travel. One implementation a transport; all of them pass `request-plane.contract.ts`. */
export interface RequestPlane {
  listen(options: RequestListenOptions): Promise<RequestListener>;
  dial(options: RequestDialOptions): RequestSender;
}
