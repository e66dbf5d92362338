import { DynamoError, type DynamoErrorCode } from '@dynamo/runtime';
import { type Failure, failure } from './errors.ts';

/** A limit that was passed: the knob that sets it, what was measured, and what it allows. */
export interface PassedLimit {
  readonly knob: string;
  readonly measured: number;
  readonly limit: number;
}

/** A failure whose whole answer is known where it arises: it reaches the client as it stands. */
export function refusal(code: DynamoErrorCode, told: Failure, data: Readonly<Record<string, unknown>> = {}): DynamoError {
  return new DynamoError(code, told.body.message, { data: { ...data, told } });
}

/** Refuses a request over a limit of the frontend; the body names the limit, and `retry-after` says when to come again. */
export function overLimit(what: string, passed: PassedLimit, options: { status?: number; retryAfter?: number } = {}): DynamoError {
  const { knob, measured, limit } = passed;
  const { status = 529, retryAfter = 1 } = options;
  const plain = failure(status, `${what}: ${measured} of at most ${limit} (${knob})`);
  const told = { ...plain, body: { ...plain.body, details: { knob, measured, limit } }, headers: { 'retry-after': String(retryAfter) } };
  return refusal('queue_limit_exceeded', told, { knob, measured, limit });
}
