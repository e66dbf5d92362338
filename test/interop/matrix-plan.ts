/** One call that a client makes; both clients read the same plan. */
export interface PlannedCall {
  readonly name: string;
  readonly worker: Side;
  readonly endpoint: string;
  readonly id: string;
  readonly request?: Record<string, unknown>;
  /** The request has a text of that many letters. */
  readonly fill?: number;
  /** The request is a stream of that many items. */
  readonly input?: number;
  readonly stopAfter?: number;
  readonly dropAfter?: number;
  /** It begins with all others so marked, when the client is told to. */
  readonly later?: boolean;
  /** It comes after those. */
  readonly last?: boolean;
}

export const sides = ['ours', 'theirs'] as const;
export type Side = (typeof sides)[number];
export const discoveries = ['file', 'etcd'] as const;
export type Discovery = (typeof discoveries)[number];
export const planes = ['tcp', 'nats'] as const;
export type Plane = (typeof planes)[number];
export const verbs = ['unary', 'stream', 'cancel', 'kill', 'error', 'large payload', 'bidirectional', 'drain'] as const;
export type Verb = (typeof verbs)[number];

export const pathOf = (worker: Side): string => `demo.${worker}.generate`;

/** A large request over TCP, in letters, and what a nats-server takes and refuses when its `max_payload` is the usual MiB. */
export const large = { request: 5 << 20, fitsNats: 900_000 } as const;

/** How many items a stream has that its worker's end must not cut, 20 ms apart. */
export const drained = 75;

/** Every call that a client makes to one worker; `caller` only keeps ids apart. */
export function planFor(caller: Side, worker: Side, plane: Plane): PlannedCall[] {
  const call = (name: string, rest: Partial<PlannedCall>): PlannedCall => ({
    name,
    worker,
    endpoint: pathOf(worker),
    id: `${caller}-${name}`,
    ...rest,
  });
  return [
    call('unary', { request: { op: 'echo', x: [1, null, 'é', 1.5, true] } }),
    call('stream', { request: { op: 'count', n: 1_000 } }),
    call('cancel', { request: { op: 'wait', delay: 0.02 }, stopAfter: 3 }),
    call('kill', { request: { op: 'wait', delay: 0.02 }, dropAfter: 3 }),
    call('error', { request: { op: 'raise', exc: 'ValueError', msg: 'boom', after: 2 } }),
    call('large', { request: { op: 'echo' }, fill: plane === 'tcp' ? large.request : large.fitsNats }),
    call('large answer', { request: { op: 'big', size: large.request } }),
    ...(plane === 'nats' ? [call('too large', { request: { op: 'echo' }, fill: large.request })] : []),
    call('unary again', { request: { op: 'echo' } }),
    call('bidirectional', { endpoint: pathOf(worker).replace('generate', 'bidi'), input: 50 }),
    call('drain', { request: { op: 'count', n: drained, delay: 0.02 }, later: true }),
    call('after drain', { request: { op: 'echo' }, last: true }),
  ];
}
