import type { Instance, InstanceId } from '../endpoint/instance.ts';
import type { PolicyName } from './policy/index.ts';

/** How one call is made; every member is optional. */
export interface CallOptions {
  /** Aborting it stops the worker and ends the stream with a `cancelled` error. */
  signal?: AbortSignal;
  /** Limit for the whole call in milliseconds; none by default. Passing it fails with `response_timeout`. */
  timeoutMs?: number;
  /** Request id; a fresh UUID by default. */
  id?: string;
  /** Send to this instance and no other; fails with `cannot_connect` where it is unknown. */
  instance?: InstanceId;
  /** Text pairs handed to the handler unchanged. */
  metadata?: Record<string, string>;
}

/** A policy's answer: where the request goes, and what to call as its stream goes on. */
export interface Route<Req = unknown> {
  instance: InstanceId;
  /** The request to send instead of the caller's. */
  request?: Req;
  /** Told about every item of the answer. */
  seen?(item: unknown): void;
  /** Told once when the stream has ended: without an argument for a clean end. */
  done?(error?: unknown): void;
}

/** Chooses the instance for each request. Candidates are routable, in ascending order of their ids, and never empty. */
export interface RoutePolicy<Req = unknown> {
  pick(request: Req, candidates: readonly Instance[], call: CallOptions): Route<Req> | Promise<Route<Req>>;
}

/** Options of a client; every member is optional. */
export interface ClientOptions {
  /** How instances are chosen: a name or an own policy. Default `round-robin`. */
  policy?: PolicyName | RoutePolicy;
}

/** Sends requests to the live instances of one endpoint. */
export interface Client<Req, Res> extends AsyncDisposable {
  /** The instances that discovery shows now, quarantined ones included, in ascending order of their ids. */
  readonly instances: readonly Instance[];
  /** Waits until at least `min` (default 1) instances are known. */
  ready(options?: { min?: number; signal?: AbortSignal }): Promise<readonly Instance[]>;
  /** Sends on the first pull; leaving the loop stops the worker. */
  generate(request: Req, options?: CallOptions): AsyncIterable<Res>;
}
