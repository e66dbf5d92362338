import { type RouterEvent, eventFromWire, toWire, u32, u64, wrong } from './kv-event.ts';
import { object, type Wire } from './members.ts';

/** Asks a worker for its events from a number on, or with no number for everything it holds (spec kv-router 17.2). */
export interface WorkerQuery {
  readonly workerId: bigint;
  readonly dpRank: number;
  readonly start: number | undefined;
  readonly end: number | undefined;
}

/** What a worker answers. */
export type WorkerAnswer =
  /** Everything that it holds, parents before children; replaces what was known of the rank. */
  | { readonly type: 'dump'; readonly events: readonly RouterEvent[]; readonly last: number }
  /** The events asked for, to be applied on top. */
  | { readonly type: 'events'; readonly events: readonly RouterEvent[]; readonly last: number }
  | { readonly type: 'too-new'; readonly requestedStart: number; readonly requestedEnd: number; readonly newest: number }
  | { readonly type: 'invalid-range'; readonly start: number; readonly end: number }
  | { readonly type: 'dump-failed'; readonly last: number; readonly message: string }
  | { readonly type: 'error'; readonly message: string };

/** The wire form of a query, in the real router's member order. */
export const queryToWire = (query: WorkerQuery): Wire => ({
  worker_id: query.workerId,
  dp_rank: query.dpRank,
  start_event_id: query.start ?? null,
  end_event_id: query.end ?? null,
  supports_tree_dump_failed: true,
  kind: 'recovery',
});

/**
 * Reads a query.
 *
 * @throws DynamoError `backend_protocol` naming the member that is wrong.
 */
export function queryFromWire(value: unknown): WorkerQuery {
  const query = object(value);
  if (query === undefined) throw wrong('the query', 'a map', value);
  if (query['kind'] !== undefined && query['kind'] !== 'recovery') throw wrong('kind', "'recovery'", query['kind']);
  return {
    workerId: u64(query['worker_id'], 'worker_id'),
    dpRank: u32(query['dp_rank'], 'dp_rank'),
    start: optionalId(query['start_event_id'], 'start_event_id'),
    end: optionalId(query['end_event_id'], 'end_event_id'),
  };
}

/** The wire form of an answer. */
export function answerToWire(answer: WorkerAnswer): Wire {
  switch (answer.type) {
    case 'dump':
      return { TreeDump: { events: answer.events.map(toWire), last_event_id: answer.last, reset_scope: 'all' } };
    case 'events':
      return { Events: { events: answer.events.map(toWire), last_event_id: answer.last } };
    case 'too-new':
      return { TooNew: { requested_start: answer.requestedStart, requested_end: answer.requestedEnd, newest_available: answer.newest } };
    case 'invalid-range':
      return { InvalidRange: { start_id: answer.start, end_id: answer.end } };
    case 'dump-failed':
      return { TreeDumpFailed: { last_event_id: answer.last, message: answer.message } };
    default:
      return { Error: answer.message };
  }
}

/**
 * Reads an answer.
 *
 * @throws DynamoError `backend_protocol` naming the member that is wrong.
 */
export function answerFromWire(value: unknown): WorkerAnswer {
  const [entry] = Object.entries(object(value) ?? {});
  if (entry === undefined) throw wrong('the answer', 'one named variant', value);
  const [name, content] = entry;
  if (name === 'Error') return { type: 'error', message: String(content) };
  const body = object(content);
  if (body === undefined) throw wrong(name, 'a map', content);
  switch (name) {
    case 'TreeDump':
      return { type: 'dump', ...held(body) };
    case 'Events':
      return { type: 'events', ...held(body) };
    case 'TooNew':
      return {
        type: 'too-new',
        requestedStart: id(body['requested_start'], 'requested_start'),
        requestedEnd: id(body['requested_end'], 'requested_end'),
        newest: id(body['newest_available'], 'newest_available'),
      };
    case 'InvalidRange':
      return { type: 'invalid-range', start: id(body['start_id'], 'start_id'), end: id(body['end_id'], 'end_id') };
    case 'TreeDumpFailed':
      return { type: 'dump-failed', last: id(body['last_event_id'], 'last_event_id'), message: String(body['message']) };
    default:
      throw wrong('the answer', 'TreeDump, Events, TooNew, InvalidRange, TreeDumpFailed or Error', name);
  }
}

function held(body: Wire): { events: RouterEvent[]; last: number } {
  const { events } = body;
  if (!Array.isArray(events)) throw wrong('events', 'an array', events);
  return { events: events.flatMap((event) => eventFromWire(event) ?? []), last: id(body['last_event_id'], 'last_event_id') };
}

const id = (value: unknown, member: string): number => Number(u64(value, member));

const optionalId = (value: unknown, member: string): number | undefined => (value === null || value === undefined ? undefined : id(value, member));
