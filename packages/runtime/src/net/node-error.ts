import { DynamoError } from '../error.ts';

const codes: Readonly<Record<string, 'cannot_connect' | 'connection_timeout'>> = {
  ECONNREFUSED: 'cannot_connect',
  EHOSTUNREACH: 'cannot_connect',
  ENETUNREACH: 'cannot_connect',
  ENOTFOUND: 'cannot_connect',
  EAI_AGAIN: 'cannot_connect',
  EADDRNOTAVAIL: 'cannot_connect',
  ETIMEDOUT: 'connection_timeout',
};

/** Turns a socket's error into ours: the one place that knows Node's code words. */
export function fromNodeError(error: unknown, what: string): DynamoError {
  if (DynamoError.is(error)) return error;
  const word = (error as NodeJS.ErrnoException | undefined)?.code ?? '';
  return new DynamoError(codes[word] ?? 'disconnected', what, { cause: error, data: { system: word } });
}
