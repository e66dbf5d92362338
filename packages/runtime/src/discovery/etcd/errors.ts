import {
  EtcdAuthenticationFailedError,
  EtcdInvalidAuthTokenError,
  EtcdLeaseInvalidError,
  EtcdPermissionDeniedError,
  GRPCInvalidArgumentError,
  GRPCResourceExhastedError,
  GRPCUnauthenticatedError,
} from 'etcd3';
import { DynamoError, type DynamoErrorCode } from '../../error.ts';

/** Whether etcd says that it does not know our lease (any more). */
export const isLeaseLost = (error: unknown): boolean => error instanceof EtcdLeaseInvalidError || textOf(error).includes('requested lease not found');

/** Whether etcd answered, and trying again gives the same answer: somebody has to change something. */
export const isRefusal = (error: unknown): boolean => DynamoError.is(error, 'unauthenticated', 'permission_denied', 'invalid_argument');

/** Turns what the library throws into an error of ours. */
export function fromEtcdError(error: unknown, options: { endpoints: readonly string[]; doing: string }): DynamoError {
  if (DynamoError.is(error)) return error;
  const endpoints = options.endpoints.join(', ');
  // gRPC puts its number and name before the text.
  const why = textOf(error).replace(/^\d+ [A-Z_]+: /, '');
  return new DynamoError(codeOf(error, why), `etcd at ${endpoints}: ${options.doing}: ${why}`, { cause: error, data: { endpoints } });
}

/** Turns the failure to open a connection into an error that says what to do. */
export function fromConnectError(error: unknown, endpoints: readonly string[]): DynamoError {
  const found = fromEtcdError(error, { endpoints, doing: 'could not connect' });
  const data = { endpoints: endpoints.join(', ') };
  if (found.code === 'unavailable')
    return new DynamoError(
      'cannot_connect',
      `${found.message}; set ETCD_ENDPOINTS to where etcd is, or find each other by files, which needs no server: discovery 'file' (DYN_DISCOVERY_BACKEND=file)`,
      { cause: error, data },
    );
  if (found.code !== 'unauthenticated' && found.code !== 'permission_denied') return found;
  return new DynamoError(found.code, `${found.message}; check ETCD_AUTH_USERNAME and ETCD_AUTH_PASSWORD`, { cause: error, data });
}

function codeOf(error: unknown, text: string): DynamoErrorCode {
  if (
    error instanceof EtcdAuthenticationFailedError ||
    error instanceof EtcdInvalidAuthTokenError ||
    error instanceof GRPCUnauthenticatedError ||
    /user name is empty|authentication is not enabled/.test(text)
  )
    return 'unauthenticated';
  if (error instanceof EtcdPermissionDeniedError) return 'permission_denied';
  if (error instanceof GRPCInvalidArgumentError || text.includes('larger than max')) return 'invalid_argument';
  return error instanceof GRPCResourceExhastedError ? 'resource_exhausted' : 'unavailable';
}

const textOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
