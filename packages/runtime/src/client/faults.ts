import { DynamoError, type DynamoErrorCode } from '../error.ts';

/** Errors after which an instance is left alone for a while (spec runtime-wire 10). */
const quarantining: readonly DynamoErrorCode[] = ['cannot_connect', 'disconnected', 'connection_timeout', 'response_timeout', 'worker_unavailable'];

/** Those that a backend must have raised; its other errors speak of what is behind the instance, not of the instance. */
const quarantiningFromBackend: readonly DynamoErrorCode[] = ['engine_shutdown', 'stream_incomplete'];

/** Whether an error, or one in its chain of causes, says that the instance itself is broken. */
export function isInstanceFault(error: unknown): boolean {
  let at = error;
  for (let depth = 0; depth < 8 && DynamoError.is(at); depth++) {
    // What a request's own source of items threw is nobody's fault here.
    if (at.data['input'] === true) return false;
    // What failed is on the way to the instance, and it will answer again as soon as that does.
    if (at.data['broken'] === false) return false;
    if (at.data['broken'] === true || quarantiningFromBackend.includes(at.code)) return true;
    if (at.origin === 'local' && quarantining.includes(at.code)) return true;
    at = at.cause;
  }
  return false;
}
