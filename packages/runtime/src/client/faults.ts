import { DynamoError, type DynamoErrorCode } from '../error.ts';

/** Error items after which an instance is left alone for a while (spec runtime-wire 10). */
const quarantining: readonly DynamoErrorCode[] = [
  'cannot_connect',
  'disconnected',
  'connection_timeout',
  'response_timeout',
  'worker_unavailable',
  'engine_shutdown',
  'stream_incomplete',
];

/** Whether an error, or one in its chain of causes, says that the instance itself is broken. */
export function isInstanceFault(error: unknown): boolean {
  let at = error;
  for (let depth = 0; depth < 8 && DynamoError.is(at); depth++) {
    const { code, data, cause } = at;
    if (data['broken'] === true || quarantining.includes(code)) return true;
    at = cause;
  }
  return false;
}
