import { DynamoError } from '../../error.ts';
import type { Logger } from '../../log.ts';
import type { Accept, IncomingRequest } from './request-plane.ts';

/** Lets a handler take a request, or says why it is refused (spec runtime-wire 4). Never throws. */
export function offer(handler: Accept | undefined, request: IncomingRequest, { path, log }: { path: string; log: Logger }): string | undefined {
  if (handler === undefined) return `Server unavailable: unknown endpoint ${path}`;
  try {
    return handler(request);
  } catch (error) {
    // It is this request's fault or its handler's, not that of the others on the connection.
    log.error({ path, error: String(error) }, 'could not take a request');
    return `Invalid request: ${String(error)}`;
  }
}

/** Every non-empty acknowledgement refuses; the real client waits for ever on texts that it does not know (spec runtime-wire 4). */
export function readRefusal(text: string): DynamoError {
  if (text.startsWith('Server overloaded:')) return new DynamoError('worker_overloaded', text);
  return new DynamoError('unavailable', text, { data: { broken: text.startsWith('Server unavailable:') } });
}
