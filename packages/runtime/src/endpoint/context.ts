import { randomBytes, randomUUID } from 'node:crypto';
import { CancellationToken } from '../async/cancellation.ts';
import type { CallOptions } from '../client/types.ts';
import { DynamoError } from '../error.ts';
import { readTraceparent } from '../tracing/traceparent.ts';
import type { HandlerContext } from './handler.ts';

/** Where a request stands in a distributed trace (W3C trace context, spec runtime-wire 11). */
export interface TraceContext {
  /** 32 hex digits, the same at every hop. */
  readonly traceId: string;
  /** 16 hex digits of this hop, made here. */
  readonly spanId: string;
  /** 16 hex digits of the hop that sent the request. */
  readonly parentSpanId: string;
  /** Two hex digits, passed on unchanged. */
  readonly flags: string;
}

/** What a context starts with; every member is optional. */
export interface ContextOptions {
  /** Request id; a fresh UUID by default. */
  id?: string;
  /** Text pairs that travel with the request. */
  metadata?: Readonly<Record<string, string>>;
  /** W3C trace context of the caller; one that is malformed counts as none. */
  traceparent?: string;
  /** Vendor part of the trace context, passed on unchanged. */
  tracestate?: string;
  /** How a proxy in front calls the request (`x-request-id`), passed on unchanged. */
  requestId?: string;
  /** 16 hex digits of this hop's span, where a tracer has made one; random by default. */
  spanId?: string;
}

/**
 * One request's identity and its two ways to end early: `stop` asks for an end after what is under way, `kill` for one at
 * once (spec runtime-wire 11). Killed implies stopped.
 *
 * Inside the system: handlers get the read-only `HandlerContext`, which every Context is.
 */
export class Context implements HandlerContext, Disposable {
  /** The request's id, the same at every hop. */
  readonly id: string;
  /** Text pairs that the caller attached to the request. */
  readonly metadata: Readonly<Record<string, string>>;
  /** Where the request stands in its trace; absent without one. */
  readonly trace?: TraceContext;
  /** The trace context to hand on, with this hop's span. */
  readonly traceparent?: string;
  readonly #tracestate: string | undefined;
  readonly #requestId: string | undefined;
  readonly #stop: CancellationToken;
  /** Made when it is first asked for: hardly any request is killed after a stop. */
  #kill: CancellationToken | undefined;
  #unfollow: (() => void) | undefined;

  constructor(options: ContextOptions = {}, parent?: { readonly stop: CancellationToken; readonly kill: CancellationToken }) {
    this.id = options.id ?? randomUUID();
    this.metadata = { ...options.metadata };
    const trace = options.traceparent === undefined ? undefined : readTrace(options.traceparent, options.spanId);
    if (trace !== undefined) {
      this.trace = trace;
      this.traceparent = `00-${trace.traceId}-${trace.spanId}-${trace.flags}`;
    }
    this.#tracestate = options.tracestate;
    this.#requestId = options.requestId;
    this.#stop = parent?.stop.child() ?? new CancellationToken();
    this.#kill = parent?.kill.child();
  }

  /** The context of a request that a handler answers: it stops and is killed with it. Dispose it to let go of the handler's signals. */
  static from(handler: Pick<HandlerContext, 'id' | 'signal' | 'metadata'> & Partial<HandlerContext>): Context {
    const { signal, killSignal } = handler;
    const headers = handler.traceHeaders?.() ?? (handler.traceparent === undefined ? {} : { traceparent: handler.traceparent });
    const context = new Context({ ...fromHeaders(headers), id: handler.id, metadata: handler.metadata });
    const onAbort = (): void => (kindOf(signal.reason) === 'kill' ? context.kill(signal.reason) : context.stop(signal.reason));
    const onKill = (): void => context.kill(killSignal?.reason);
    if (killSignal?.aborted === true) onKill();
    if (signal.aborted) onAbort();
    if (killSignal?.aborted !== true && !context.killed) {
      killSignal?.addEventListener('abort', onKill, { once: true });
      if (!signal.aborted) signal.addEventListener('abort', onAbort, { once: true });
      context.#unfollow = () => {
        killSignal?.removeEventListener('abort', onKill);
        signal.removeEventListener('abort', onAbort);
      };
    }
    return context;
  }

  /** The context of a request that came with such headers (spec runtime-wire 11). */
  static read(request: {
    id: string;
    metadata: Readonly<Record<string, string>>;
    headers: Readonly<Record<string, string>>;
    /** This hop's span, where a tracer has made one. */
    spanId?: string | undefined;
  }): Context {
    const { id, metadata, spanId } = request;
    return new Context({ ...fromHeaders(request.headers), id, metadata, ...(spanId === undefined ? {} : { spanId }) });
  }

  /** Aborts at stop or kill, whichever comes first; the reason's `data.kind` says which. */
  get signal(): AbortSignal {
    return this.#stop.signal;
  }

  /** Aborts at kill alone: for whoever goes on after a stop. */
  get killSignal(): AbortSignal {
    return this.#killer.signal;
  }

  /** Whether it was asked to end, softly or at once. */
  get stopped(): boolean {
    return this.#stop.cancelled;
  }

  /** Whether it was asked to end at once. */
  get killed(): boolean {
    return this.#kill?.cancelled === true;
  }

  /** Asks this request and those made from it to end after what is under way. */
  stop(reason: unknown = ended('stop')): void {
    this.#stop.cancel(reason);
  }

  /** Asks this request and those made from it to end at once. */
  kill(reason: unknown = ended('kill')): void {
    // First, so that whoever hears the stop below sees which of the two it was.
    this.#killer.cancel(reason);
    this.#stop.cancel(reason);
  }

  /** The context of a request made for this one: same id, metadata and trace, stopped and killed with it. Dispose it when it has ended. */
  child(): Context {
    return new Context(this.#handedOn(this.id), { stop: this.#stop, kill: this.#killer });
  }

  /** Like `child`, and outlives this one: no stop or kill passes down. */
  detached(id: string = randomUUID()): Context {
    return new Context(this.#handedOn(id));
  }

  /** Headers that tell the next hop of the trace and the request; empty where neither is known. */
  traceHeaders(): Record<string, string> {
    const headers: Record<string, string> = {};
    if (this.traceparent !== undefined) {
      headers['traceparent'] = this.traceparent;
      if (this.#tracestate !== undefined) headers['tracestate'] = this.#tracestate;
      headers['request-id'] = this.id;
    }
    if (this.#requestId !== undefined) headers['x-request-id'] = this.#requestId;
    return headers;
  }

  /** Options for a client's call that belongs to this request. */
  callOptions(): CallOptions {
    return { context: this };
  }

  /** Lets go of what it follows: a parent or a handler's signal. Neither stops nor kills. */
  [Symbol.dispose](): void {
    this.#unfollow?.();
    this.#unfollow = undefined;
    this.#stop[Symbol.dispose]();
    this.#kill?.[Symbol.dispose]();
  }

  get #killer(): CancellationToken {
    return (this.#kill ??= new CancellationToken());
  }

  #handedOn(id: string): ContextOptions {
    return { ...fromHeaders(this.traceHeaders()), id, metadata: this.metadata };
  }
}

function fromHeaders(headers: Readonly<Record<string, string>>): ContextOptions {
  const { traceparent, tracestate, 'x-request-id': requestId } = headers;
  return {
    ...(traceparent === undefined ? {} : { traceparent }),
    ...(tracestate === undefined ? {} : { tracestate }),
    ...(requestId === undefined ? {} : { requestId }),
  };
}

const ended = (kind: 'stop' | 'kill'): DynamoError =>
  new DynamoError('cancelled', kind === 'stop' ? 'the request was stopped' : 'the request was killed', { data: { kind } });

const kindOf = (reason: unknown): unknown => (DynamoError.is(reason, 'cancelled') ? reason.data['kind'] : undefined);

function readTrace(text: string, spanId?: string): TraceContext | undefined {
  const above = readTraceparent(text);
  if (above === undefined) return undefined;
  return { traceId: above.traceId, spanId: spanId ?? randomBytes(8).toString('hex'), parentSpanId: above.spanId, flags: above.flags };
}
