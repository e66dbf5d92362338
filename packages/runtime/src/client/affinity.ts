import type { Instance, InstanceId } from '../endpoint/instance.ts';
import { badValue, checkNumber, checkWord } from '../check.ts';
import { DynamoError } from '../error.ts';
import { type Bound, Sessions, type SessionsOptions } from './sessions.ts';
import type { SessionEvent } from '../wire/session-event.ts';
import type { CallOptions, ClientOptions, Route } from './types.ts';

/** Headers that name a session, the most telling first: all of them share one space of ids (spec kv-router 11). */
const sessionHeaders = ['x-dynamo-session-id', 'x-claude-code-session-id', 'thread-id', 'x-session-id'] as const;

/** Longest id of a session, in bytes (spec kv-router 11). */
const longestId = 256;

/** Longest idle time, in milliseconds: a year (spec kv-router 11). */
const longestTtlMs = 31_536_000_000;

/**
 * The session that a call belongs to: its option, else the first of its headers that names one; undefined without one.
 *
 * @throws DynamoError `invalid_argument` for an id of more than 256 bytes.
 */
export function sessionOf({ session, headers }: CallOptions): string | undefined {
  const id = session ?? (headers === undefined ? undefined : sessionName(headers));
  if (id === undefined || id.trim() === '') return undefined;
  const bytes = Buffer.byteLength(id);
  if (bytes > longestId)
    throw new DynamoError('invalid_argument', `a session id may have ${longestId} bytes, this one has ${bytes}`, {
      data: { field: 'session', bytes, limit: longestId },
    });
  return id;
}

/** What the first header that names a session says, as it stands. */
export function sessionName(headers: Readonly<Record<string, string | readonly string[] | undefined>>): string | undefined {
  const name = sessionHeaders.find((header) => headers[header] !== undefined);
  const value = name === undefined ? undefined : headers[name];
  return typeof value === 'object' ? value[0] : value;
}

/** What a session asks of the client that it belongs to. */
export interface Fleet {
  /** The instance as discovery shows it. */
  find(id: InstanceId): Instance | undefined;
  isQuarantined(id: InstanceId): boolean;
}

/** One call of a session on its way to an instance. */
export interface SessionCall {
  readonly session: string;
  /** The instance that the caller demands. */
  readonly pin: InstanceId | undefined;
  /** Lets the policy choose: freely, or for its books only when the instance is settled. */
  readonly choose: (settled?: Bound) => Route | Promise<Route>;
}

/**
 * Keeps each session on its instance, whatever the policy is (spec kv-router 11).
 *
 * Hard: the instance is exact as long as discovery shows it; while it is quarantined the session's calls fail. Soft: an
 * instance that may not be routed to is left for another one, which the session keeps then.
 */
export class Affinity {
  readonly #sessions: Sessions;
  readonly #mode: 'hard' | 'soft';
  readonly #fleet: Fleet;
  /** Sessions whose first instance is being chosen. */
  readonly #choosing = new Map<string, Promise<void>>();

  /** @throws DynamoError `invalid_argument` for an idle time that is out of range or an unknown mode. */
  constructor(options: NonNullable<ClientOptions['affinity']>, fleet: Fleet, internals: Omit<SessionsOptions, 'ttlMs'> = {}) {
    const { ttlMs, mode = 'hard' } = options;
    if (ttlMs === undefined) throw badValue('affinity.ttlMs', ttlMs, 'milliseconds');
    checkNumber('affinity.ttlMs', ttlMs, { least: 1, most: longestTtlMs });
    checkWord('affinity.mode', mode, ['hard', 'soft']);
    this.#sessions = new Sessions({ ttlMs, ...internals });
    this.#mode = mode;
    this.#fleet = fleet;
  }

  /** Every binding, the longest idle first. */
  entries(): Iterable<SessionEvent> {
    return this.#sessions.entries();
  }

  /** Takes the word of another who keeps the same sessions. */
  heard(event: SessionEvent): void {
    this.#sessions.heard(event);
  }

  /** Where a session's call goes: to its instance, or to one that it is bound to from now on. */
  async route(call: SessionCall): Promise<Route> {
    for (;;) {
      const settled = this.#settled(call);
      if (settled !== undefined) return this.#kept(call.session, await call.choose(settled));
      const first = this.#choosing.get(call.session);
      if (first === undefined) return this.#bind(call);
      await first;
    }
  }

  /** The first of several calls at once chooses for all of them. */
  async #bind(call: SessionCall): Promise<Route> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#choosing.set(call.session, promise);
    try {
      return this.#kept(call.session, await call.choose());
    } finally {
      this.#choosing.delete(call.session);
      resolve();
    }
  }

  /** The instance that the session is bound to and goes to; undefined when it is free to go elsewhere. */
  #settled({ session, pin }: SessionCall): Bound | undefined {
    const bound = this.#sessions.get(session);
    const instance = bound === undefined ? undefined : this.#fleet.find(bound.instance);
    if (bound === undefined || instance === undefined) return undefined;
    const quarantined = this.#fleet.isQuarantined(instance.id);
    if (quarantined && this.#mode === 'soft') return undefined;
    this.#sessions.touch(session);
    const data = { session, instance: instance.id };
    if (pin !== undefined && pin !== instance.id)
      throw new DynamoError('invalid_argument', `session '${session}' is bound to instance ${instance.id}, not to ${pin}`, {
        data: { ...data, pin },
      });
    if (quarantined)
      throw new DynamoError('unavailable', `instance ${instance.id} of session '${session}' is not routable now`, {
        data: { ...data, quarantined: true },
      });
    return bound;
  }

  /** Binds at dispatch, and again at the end of the stream: idle time begins then. */
  #kept(session: string, route: Route): Route {
    const to: Bound = { instance: route.instance, ...(route.rank === undefined ? {} : { rank: route.rank }) };
    this.#sessions.bind(session, to);
    return {
      instance: route.instance,
      ...(route.request === undefined ? {} : { request: route.request }),
      ...(route.seen === undefined ? {} : { seen: (item: unknown) => route.seen?.(item) }),
      done: (error) => {
        const bound = this.#sessions.get(session);
        if (bound === undefined || bound.instance === to.instance) this.#sessions.bind(session, to);
        route.done?.(error);
      },
    };
  }
}
