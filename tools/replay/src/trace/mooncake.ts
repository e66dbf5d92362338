import { decodeJson } from '@dynamo/runtime/internal';
import { type Line, linesOf } from './lines.ts';
import { readRow, traceError, type TraceRow } from './row.ts';
import type { Turn, Workload } from './turn.ts';

/** How a trace is read. */
export interface TraceOptions {
  /** Tokens that one id stands for; default 512. */
  readonly blockSize?: number;
  /** Arrivals and pauses come this much faster. */
  readonly speedup?: number;
  /** Whether arrivals count: not where a fixed number of requests is kept running. */
  readonly timed?: boolean;
}

/** Traces up to this many rows are kept after the first reading; longer ones are read twice. */
const keptRows = 20_000;

type Slot = { -readonly [K in keyof Turn]: Turn[K] };

/**
 * Opens a mooncake trace: JSON lines with block ids, lengths and times (spec mocker 8).
 *
 * It is read once from end to end before anything runs, so that every error shows first. A trace in order of time without
 * sessions is then streamed; others are held in memory.
 *
 * @throws DynamoError `invalid_argument` with the number of the line.
 */
export async function openMooncake(files: readonly string[], options: TraceOptions = {}): Promise<Workload> {
  const { blockSize = 512, speedup = 1, timed = true } = options;
  if (!(Number.isSafeInteger(blockSize) && blockSize > 0)) throw traceError('trace_block_size must be greater than 0');
  if (!(speedup > 0 && speedup < Infinity)) throw traceError(`ratio must be a finite positive number, got ${speedup}`);
  const first = await scan(files, blockSize, timed);
  if (first.count === 0) throw traceError(`trace file ${files.join(', ')} did not contain any requests`);
  const arrivalOf = (row: TraceRow): number | undefined => (timed ? ((row.timestamp ?? 0) - first.start) / speedup : undefined);
  if (first.streams && first.kept === undefined) return streamed(files, { blockSize, total: first.count, arrivalOf });
  const rows = first.kept ?? (await everything(files, blockSize));
  return heldWorkload(turnsOf(rows, { arrivalOf, speedup, timed }), { blockSize, total: first.count });
}

interface Scan {
  readonly count: number;
  readonly start: number;
  readonly streams: boolean;
  readonly kept: TraceRow[] | undefined;
}

async function scan(files: readonly string[], blockSize: number, timed: boolean): Promise<Scan> {
  let kept: TraceRow[] | undefined = [];
  let [count, start, last, streams] = [0, Infinity, -Infinity, true];
  let wrong: Error | undefined;
  for await (const lines of linesOf(files)) {
    for (const row of rowsOf(lines, blockSize)) {
      const { timestamp = -Infinity, session } = row;
      count++;
      if (session !== undefined || (timed && timestamp < last)) streams = false;
      if (session === undefined) {
        checkPause(row, sessionOf(row));
        // What is wrong with a request shows after what is wrong with any line, as in the real replay.
        wrong ??= faultOf(row, 0, timed);
      }
      if (row.timestamp !== undefined) start = Math.min(start, row.timestamp);
      last = Math.max(last, timestamp);
      if (kept !== undefined && kept.length < keptRows) kept.push(row);
      else kept = undefined;
    }
  }
  // With sessions, the rows are looked at once more, in the order of the sessions.
  if (wrong !== undefined && streams) throw wrong;
  return { count, start, streams, kept };
}

const sessionOf = (row: TraceRow): string => row.session ?? `request_${row.line}`;

function checkPause(row: TraceRow, session: string): void {
  if (row.delay !== undefined && row.delay > 0)
    throw traceError(`trace line ${row.line} sets delay on the first turn of session ${session}`, row.line);
}

function faultOf(row: TraceRow, turn: number, timed: boolean): Error | undefined {
  if (row.input === 0) return traceError(`session ${sessionOf(row)} turn ${turn} must have a positive input_length`, row.line);
  if (turn > 0 || !timed || row.timestamp !== undefined) return undefined;
  return traceError(`trace mode requires first_arrival_timestamp_ms for session ${sessionOf(row)}`, row.line);
}

const rowsOf = (lines: readonly Line[], blockSize: number): TraceRow[] =>
  lines.map(({ file, line, text }) => readRow(text, { file, line, blockSize, parse: decodeJson }));

async function everything(files: readonly string[], blockSize: number): Promise<TraceRow[]> {
  const rows: TraceRow[] = [];
  for await (const lines of linesOf(files)) rows.push(...rowsOf(lines, blockSize));
  return rows;
}

const turnOf = (row: TraceRow, arrivalMs: number | undefined): Slot => ({
  input: row.input,
  output: row.output,
  ids: row.ids,
  arrivalMs,
  session: row.session,
  turn: 0,
  next: undefined,
  delayMs: 0,
  priority: row.priority,
  strictPriority: row.strictPriority,
  policyClass: row.policyClass,
});

function streamed(
  files: readonly string[],
  facts: { readonly blockSize: number; readonly total: number; readonly arrivalOf: (row: TraceRow) => number | undefined },
): Workload {
  const pieces = linesOf(files)[Symbol.asyncIterator]();
  return {
    blockSize: facts.blockSize,
    total: facts.total,
    async read() {
      const { value, done } = await pieces.next();
      return done === true ? [] : rowsOf(value, facts.blockSize).map((row) => turnOf(row, facts.arrivalOf(row)));
    },
  };
}

/** Joins the rows of each session, and puts the first turns into the order of their arrival. */
function turnsOf(
  rows: readonly TraceRow[],
  { arrivalOf, speedup, timed }: { arrivalOf: (row: TraceRow) => number | undefined; speedup: number; timed: boolean },
): Turn[] {
  const firsts: Slot[] = [];
  const latest = new Map<string, { readonly slot: Slot; readonly timestamp: number | undefined }>();
  const faults = new Map<Turn, Error>();
  for (const row of rows) {
    const before = row.session === undefined ? undefined : latest.get(row.session);
    const slot = turnOf(row, before === undefined ? arrivalOf(row) : undefined);
    if (before === undefined) {
      checkPause(row, sessionOf(row));
      firsts.push(slot);
    } else {
      slot.turn = before.slot.turn + 1;
      slot.delayMs = pauseOf(row, before.timestamp) / speedup;
      before.slot.next = slot;
    }
    const fault = faultOf(row, slot.turn, timed);
    if (fault !== undefined) faults.set(slot, fault);
    if (row.session !== undefined) latest.set(row.session, { slot, timestamp: row.timestamp ?? before?.timestamp });
  }
  if (faults.size > 0)
    for (const first of firsts) for (let turn: Turn | undefined = first; turn !== undefined; turn = turn.next) throwIf(faults.get(turn));
  return timed ? firsts.toSorted((a, b) => (a.arrivalMs ?? 0) - (b.arrivalMs ?? 0)) : firsts;
}

function throwIf(error: Error | undefined): void {
  if (error !== undefined) throw error;
}

/** The explicit delay, else the time since the last one that the session tells, else none. */
function pauseOf(row: TraceRow, before: number | undefined): number {
  const pause = row.delay ?? (row.timestamp === undefined || before === undefined ? 0 : row.timestamp - before);
  if (!(pause >= 0 && pause < Infinity)) throw traceError(`trace line ${row.line} has invalid delay ${pause}`, row.line);
  return pause;
}

/** Turns that are in memory, as a workload. */
function heldWorkload(turns: readonly Turn[], facts: { readonly blockSize: number; readonly total: number }): Workload {
  let given = false;
  return {
    ...facts,
    async read() {
      const piece = given ? [] : turns;
      given = true;
      return piece;
    },
  };
}
