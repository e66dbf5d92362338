import { encodeJsonText } from '@dynamo/runtime/internal';
import type { AnswerChunk } from '../../stages/parse-answer.ts';
import type { AnswerFacts } from '../answer-facts.ts';
import type { Failure } from '../errors.ts';
import type { UsageCount } from '../usage.ts';

/** What writing a message needs to know of its request. */
export interface MessageShape {
  readonly model: string;
  readonly usage: UsageCount;
  /** Undefined where the worker makes the tokens. */
  readonly facts: AnswerFacts | undefined;
  /** A guess at the length of the prompt, which is told before anything is known. */
  readonly estimate: number;
}

/** Usage as the Messages API names it: what was cached is no input there. */
export function wireUsage({ input, output, cached }: { input: number; output: number; cached: number | undefined }): string {
  const read = cached === undefined ? '' : `,"cache_read_input_tokens":${cached}`;
  return `{"input_tokens":${input - (cached ?? 0)},"output_tokens":${output},"cache_creation_input_tokens":0${read}}`;
}

/** Why an answer ended. A stop sequence is told by its text; calls are the reason wherever there are any. */
export function stopOf(
  finish: AnswerChunk['finishReason'],
  { calls, stopReason }: { calls: boolean; stopReason: unknown },
): { reason: string | null; sequence: string | null } {
  if (finish === undefined) return { reason: null, sequence: null };
  if (calls) return { reason: 'tool_use', sequence: null };
  if (finish === 'length') return { reason: 'max_tokens', sequence: null };
  if (finish === 'content_filter') return { reason: 'refusal', sequence: null };
  return typeof stopReason === 'string' ? { reason: 'stop_sequence', sequence: stopReason } : { reason: 'end_turn', sequence: null };
}

/** Names of failures, by status; other refusals are the client's fault, the rest the server's. */
const types: Readonly<Record<number, string>> = {
  401: 'authentication_error',
  403: 'permission_error',
  404: 'not_found_error',
  413: 'request_too_large',
  429: 'rate_limit_error',
  499: 'api_error',
  503: 'overloaded_error',
  529: 'overloaded_error',
};

/** What the Messages API says of a failure. */
export const errorOf = ({ status, body }: Failure): object => ({
  type: types[status] ?? (status < 500 ? 'invalid_request_error' : 'api_error'),
  message: body.message,
});

/** A failure with the body that the Messages API has for it. */
export const shapedForMessages = (told: Failure): Failure =>
  told.plain === true ? told : { ...told, envelope: { type: 'error', error: errorOf(told) } };

/** Arguments of a call as the object that they stand for; what is none is told as the text it is. */
export function inputOf(given: string): unknown {
  try {
    return given === '' ? {} : (JSON.parse(given) as unknown);
  } catch {
    return given;
  }
}

/** JSON of one event. */
export const event = (type: string, members: string): string => `event: ${type}\ndata: {"type":"${type}"${members === '' ? '' : `,${members}`}}\n\n`;

/** JSON of members without the braces around them. */
export const membersText = (members: Readonly<Record<string, unknown>>): string => encodeJsonText(members).slice(1, -1);
