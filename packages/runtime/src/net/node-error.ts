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

/** Words that say that the peer was reached and did not become one to talk to in TLS. */
const tlsWords = /^(ERR_TLS_|ERR_SSL_|UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|CERT_|HOSTNAME_MISMATCH|INVALID_CA|EPROTO)/;

/** Turns a socket's error into ours: the one place that knows Node's code words. */
export function fromNodeError(error: unknown, what: string): DynamoError {
  if (DynamoError.is(error)) return error;
  const { code: word = '', message = '' } = (error ?? {}) as Partial<NodeJS.ErrnoException>;
  if (tlsWords.test(word) || message.includes('before secure TLS connection'))
    return new DynamoError('cannot_connect', `${what}: ${message}`, { cause: error, data: { system: word, tls: true } });
  return new DynamoError(codes[word] ?? 'disconnected', what, { cause: error, data: { system: word } });
}
