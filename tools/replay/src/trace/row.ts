import { DynamoError } from '@dynamo/runtime';

/** One line of a mooncake trace (spec mocker 8). */
export interface TraceRow {
  /** Number of the line in its file, from 1. */
  readonly line: number;
  readonly timestamp: number | undefined;
  readonly input: number;
  readonly output: number;
  readonly ids: readonly (number | bigint)[];
  readonly session: string | undefined;
  readonly delay: number | undefined;
  readonly priority: number | undefined;
  readonly strictPriority: number | undefined;
  readonly policyClass: string | undefined;
}

/** Reads JSON without losing digits of long integers. */
export type ParseJson = (text: string) => unknown;

/** Complains about a trace; the message names the line. */
export function traceError(message: string, line?: number): DynamoError {
  return new DynamoError('invalid_argument', message, { data: line === undefined ? {} : { line } });
}

/**
 * Reads one line.
 *
 * @throws DynamoError `invalid_argument` in the words of the real replay, with the number of the line.
 */
export function readRow(
  text: string,
  place: { readonly file: string; readonly line: number; readonly blockSize: number; readonly parse: ParseJson },
): TraceRow {
  const { file, line, blockSize } = place;
  const unreadable = (why: string): never => {
    throw traceError(`failed to parse line ${line} from ${file} as JSON: ${why}`, line);
  };
  let value: unknown;
  try {
    value = place.parse(text);
  } catch (error) {
    return unreadable(error instanceof Error ? error.message : String(error));
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return unreadable('not an object');
  const row = value as Readonly<Record<string, unknown>>;
  const read = <T>(name: string, is: (member: unknown) => member is T, expected: string): T | undefined => {
    const member = row[name];
    return member === undefined || member === null ? undefined : is(member) ? member : unreadable(`${name} is not ${expected}`);
  };
  const timestamp = read('timestamp', isNumber, 'a number') ?? read('created_time', isNumber, 'a number');
  const input = read('input_length', isCount, 'a count');
  const output = read('output_length', isCount, 'a count');
  const ids = read('hash_ids', isIds, 'a list of unsigned integers');
  const tokens = read('output_token_ids', isTokens, 'a list of token ids');
  const session = read('session_id', isText, 'text');
  const delay = read('delay', isNumber, 'a number');
  const priority = read('priority', isNumber, 'a number');
  const strictPriority = read('strict_priority', isNumber, 'a number');
  const policyClass = read('policy_class', isText, 'text');
  read('request_id', isText, 'text');
  const wrong = (what: string): never => {
    throw traceError(`trace line ${line} ${what}`, line);
  };
  if (ids === undefined) return wrong('is missing hash_ids');
  if (output === undefined) return wrong('is missing output_length');
  const capacity = ids.length * blockSize;
  if (input !== undefined && input > capacity) return wrong(`input_length ${input} exceeds hash_ids capacity ${capacity}`);
  if (tokens !== undefined && tokens.length !== output)
    return wrong(`output_length ${output} does not match output_token_ids length ${tokens.length}`);
  return { line, timestamp, input: input ?? capacity, output, ids, session, delay, priority, strictPriority, policyClass };
}

const isNumber = (value: unknown): value is number => typeof value === 'number';
const isText = (value: unknown): value is string => typeof value === 'string';
const isCount = (value: unknown): value is number => typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
const isIds = (value: unknown): value is (number | bigint)[] =>
  Array.isArray(value) && value.every((id) => isCount(id) || (typeof id === 'bigint' && id >= 0n));
const isTokens = (value: unknown): value is number[] => Array.isArray(value) && value.every((id) => isCount(id) && id <= 0xffff_ffff);
