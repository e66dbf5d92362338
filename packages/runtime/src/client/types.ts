import type { HandlerContext } from '../endpoint/handler.ts';
import type { Instance, InstanceId } from '../endpoint/instance.ts';
import type { PolicyName } from './policy/index.ts';

/** How one call is made; every member is optional. */
export interface CallOptions {
  /** Aborting it stops the worker and ends the stream with a `cancelled` error. */
  signal?: AbortSignal;
  /** Limit for the whole call in milliseconds; none by default. Passing it fails with `deadline_exceeded`. */
  timeoutMs?: number;
  /** Longest wait for the first item in milliseconds; `idleMs` by default. Passing it fails with `response_timeout`. */
  firstItemMs?: number;
  /** Longest wait for any item in milliseconds; none by default. Passing it fails with `response_timeout`; time that the reader takes is not counted. */
  idleMs?: number;
  /** The request that the call is made for: its id, metadata and trace go along, and a stop or kill of it passes down. */
  context?: HandlerContext;
  /** Request id; that of `context`, else a fresh UUID. */
  id?: string;
  /** Text pairs beside the request, such as `traceparent`, `tracestate` and `x-request-id`; they win over those of `context`. */
  headers?: Readonly<Record<string, string>>;
  /** Send to this instance and no other; fails with `cannot_connect` where it is unknown. */
  instance?: InstanceId;
  /** Text pairs handed to the handler unchanged; those of `context` by default. */
  metadata?: Record<string, string>;
  /** The session that the call belongs to, for clients with `affinity`; else the header `x-dynamo-session-id` or one of its relatives says it. */
  session?: string;
}

/** A policy's answer: where the request goes, and what to call as its stream goes on. */
export interface Route<Req = unknown> {
  instance: InstanceId;
  /** Which of the instance's data-parallel ranks takes it, where the policy chooses one: the calls of a session come back to it. */
  rank?: number;
  /** The request to send instead of the caller's. */
  request?: Req;
  /** Told about every item of the answer. */
  seen?(item: unknown): void;
  /** Told once when the stream has ended: without an argument for a clean end. */
  done?(error?: unknown): void;
}

/**
 * Chooses the instance for each request. Candidates are routable, in ascending order of their ids, and never empty.
 *
 * A call whose session is bound to an instance has this one as its only candidate, and as `call.instance`: the policy is
 * asked for its books.
 */
export interface RoutePolicy<Req = unknown> {
  pick(request: Req, candidates: readonly Instance[], call: CallOptions): Route<Req> | Promise<Route<Req>>;
}

/** Options of a client; every member is optional. */
export interface ClientOptions {
  /** How instances are chosen: a name or an own policy. Default `round-robin`. */
  policy?: PolicyName | RoutePolicy;
  /**
   * Keeps each session on its instance until it has been idle for `ttlMs`; off by default. `hard`, the default mode, never
   * leaves an instance that discovery shows; `soft` leaves one that is quarantined.
   */
  affinity?: { ttlMs: number; mode?: 'hard' | 'soft' };
}

/** Sends requests to the live instances of one endpoint. */
export interface Client<Req, Res> extends AsyncDisposable {
  /** The instances that discovery shows now, quarantined ones included, in ascending order of their ids. */
  readonly instances: readonly Instance[];
  /** Waits until at least `min` (default 1) instances are known. */
  ready(options?: { min?: number; signal?: AbortSignal }): Promise<readonly Instance[]>;
  /**
   * Sends on the first pull; leaving the loop kills the worker.
   *
   * A request that is itself an `AsyncIterable` opens a two-way stream: its items are pulled and sent as the worker takes
   * them, while the answer is read. The endpoint must be served with `input: 'stream'`.
   */
  generate(request: Req, options?: CallOptions): AsyncIterable<Res>;
}
