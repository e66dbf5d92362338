import { DynamoError, type DynamoErrorCode } from '@dynamo/runtime';
import { errorTable } from '@dynamo/runtime/internal';
import { fromWorker } from '../http/errors.ts';
import { MalformedMessage } from './protobuf.ts';

/** The statuses of gRPC that this door answers with. */
export const status = {
  cancelled: 1,
  invalidArgument: 3,
  deadlineExceeded: 4,
  notFound: 5,
  permissionDenied: 7,
  resourceExhausted: 8,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
  unauthenticated: 16,
} as const;

/** What a call ends with when it fails, in the form that `@grpc/grpc-js` sends. */
export class GrpcFailure extends Error {
  override readonly name = 'GrpcFailure';
  readonly code: number;
  readonly details: string;

  constructor(code: number, details: string, cause?: unknown) {
    super(details, { cause });
    this.code = code;
    this.details = details;
  }
}

const codes: Readonly<Record<DynamoErrorCode, number>> = {
  invalid_argument: status.invalidArgument,
  unauthenticated: status.unauthenticated,
  permission_denied: status.permissionDenied,
  not_found: status.notFound,
  payload_too_large: status.resourceExhausted,
  unsupported_media: status.invalidArgument,
  rate_limited: status.resourceExhausted,
  cancelled: status.cancelled,
  deadline_exceeded: status.deadlineExceeded,
  cannot_connect: status.unavailable,
  disconnected: status.unavailable,
  connection_timeout: status.deadlineExceeded,
  response_timeout: status.deadlineExceeded,
  unavailable: status.unavailable,
  worker_unavailable: status.unavailable,
  engine_shutdown: status.unavailable,
  stream_incomplete: status.unavailable,
  resource_exhausted: status.resourceExhausted,
  queue_limit_exceeded: status.resourceExhausted,
  worker_overloaded: status.resourceExhausted,
  backend_protocol: status.internal,
  not_implemented: status.unimplemented,
  unknown: status.internal,
};

/** A request that can't be served as it is, in the words of the real frontend (spec llm 7). */
export const badRequest = (message: string): GrpcFailure =>
  new GrpcFailure(
    status.invalidArgument,
    `Failed to parse request: status: InvalidArgument, message: ${quoted(message)}, details: [], metadata: MetadataMap { headers: {} }`,
  );

/** A text between quotation marks, those within it escaped. */
export const quoted = (text: string): string => `"${text.replace(/["\\]/g, '\\$&')}"`;

/** What a worker says of its failure: the kind, and its own words. */
export const wordsOfWorker = (error: DynamoError): string => `${errorTable[error.code].class}: ${error.message}`;

/** The status that tells of any failure. A worker's own one is internal, whatever it blames (spec llm 7). */
export function failureOfCall(thrown: unknown): GrpcFailure {
  if (thrown instanceof GrpcFailure) return thrown;
  if (thrown instanceof MalformedMessage) return new GrpcFailure(status.internal, `failed to decode Protobuf message: ${thrown.message}`);
  const error = DynamoError.from(thrown);
  if (fromWorker(error)) return new GrpcFailure(status.internal, `Failed to fold completions stream: ${wordsOfWorker(error)}`, error);
  const code = codes[error.code];
  return new GrpcFailure(code, code === status.internal ? 'Internal server error' : error.message, error);
}
