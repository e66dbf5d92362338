/**
 * Everything that is known of one code. The wire spellings and pairs are those of spec runtime-wire 9.1; a pair that is
 * not in that table is read by real peers as class `Internal`.
 */
export interface ErrorRow {
  /** Coarse class on the wire. */
  readonly class: string;
  /** Reason on the wire when the fault is the system's own. */
  readonly reason: string;
  /** Reason on the wire when a backend raised it. */
  readonly backendReason?: string;
  /** The older `error_type` spelling; wrapped as `{ "Backend": … }` for backend errors where the real system knows that variant. */
  readonly type: string;
  /** Status of an HTTP answer that fails with it (spec llm 2.3). */
  readonly httpStatus: number;
  /** Whether another instance may be tried with the same request; `isRetryable` judges a whole error by it (spec runtime-wire 9.4). */
  readonly retryable: boolean;
}

const row = (
  className: string,
  reason: string,
  type: string,
  httpStatus: number,
  more: { backendReason?: string; retryable?: boolean } = {},
): ErrorRow => ({ class: className, reason, type, httpStatus, retryable: false, ...more });

/** The closed set of codes; docs/errors.md has one section for each, and a test compares the two. */
export const errorTable: Readonly<Record<DynamoErrorCode, ErrorRow>> = {
  invalid_argument: row('InvalidRequest', 'request.invalid_argument', 'InvalidArgument', 400, { backendReason: 'backend.invalid_argument' }),
  unauthenticated: row('Unauthenticated', 'request.unauthenticated', 'Unknown', 401),
  permission_denied: row('PermissionDenied', 'request.permission_denied', 'Unknown', 403),
  not_found: row('NotFound', 'request.not_found', 'Unknown', 404),
  payload_too_large: row('PayloadTooLarge', 'request.payload_too_large', 'InvalidArgument', 413),
  unsupported_media: row('UnsupportedMedia', 'request.unsupported_media', 'InvalidArgument', 415),
  rate_limited: row('RateLimited', 'request.rate_limited', 'ResourceExhausted', 429),
  cancelled: row('Cancelled', 'request.cancelled', 'Cancelled', 499, { backendReason: 'backend.cancelled' }),
  deadline_exceeded: row('DeadlineExceeded', 'request.deadline_exceeded', 'ResponseTimeout', 504),
  cannot_connect: row('Unavailable', 'transport.cannot_connect', 'CannotConnect', 503, { backendReason: 'backend.cannot_connect', retryable: true }),
  disconnected: row('Unavailable', 'transport.disconnected', 'Disconnected', 503, { backendReason: 'backend.disconnected', retryable: true }),
  connection_timeout: row('DeadlineExceeded', 'transport.connection_timeout', 'ConnectionTimeout', 504, {
    backendReason: 'backend.connection_timeout',
    retryable: true,
  }),
  response_timeout: row('DeadlineExceeded', 'backend.response_timeout', 'ResponseTimeout', 504, {
    backendReason: 'backend.response_timeout',
    retryable: true,
  }),
  unavailable: row('Unavailable', 'backend.unavailable', 'Unavailable', 503),
  worker_unavailable: row('Unavailable', 'backend.worker_unavailable', 'WorkerUnavailable', 503, { retryable: true }),
  engine_shutdown: row('Unavailable', 'backend.engine_shutdown', 'EngineShutdown', 503, {
    backendReason: 'backend.engine_shutdown',
    retryable: true,
  }),
  stream_incomplete: row('Unavailable', 'backend.stream_incomplete', 'StreamIncomplete', 503, {
    backendReason: 'backend.stream_incomplete',
    retryable: true,
  }),
  resource_exhausted: row('CapacityExhausted', 'capacity.pool_exhausted', 'ResourceExhausted', 529),
  queue_limit_exceeded: row('CapacityExhausted', 'capacity.exhausted', 'ResourceExhausted', 529),
  worker_overloaded: row('CapacityExhausted', 'capacity.worker_overloaded', 'WorkerOverloaded', 529, { retryable: true }),
  backend_protocol: row('BackendProtocol', 'backend.protocol', 'Unknown', 502),
  not_implemented: row('NotImplemented', 'runtime.not_implemented', 'Unknown', 501),
  unknown: row('Internal', 'runtime.unclassified', 'Unknown', 500, { backendReason: 'backend.unknown' }),
};

/** Every code that a `DynamoError` can carry. */
export type DynamoErrorCode =
  | 'invalid_argument'
  | 'unauthenticated'
  | 'permission_denied'
  | 'not_found'
  | 'payload_too_large'
  | 'unsupported_media'
  | 'rate_limited'
  | 'cancelled'
  | 'deadline_exceeded'
  | 'cannot_connect'
  | 'disconnected'
  | 'connection_timeout'
  | 'response_timeout'
  | 'unavailable'
  | 'worker_unavailable'
  | 'engine_shutdown'
  | 'stream_incomplete'
  | 'resource_exhausted'
  | 'queue_limit_exceeded'
  | 'worker_overloaded'
  | 'backend_protocol'
  | 'not_implemented'
  | 'unknown';

/** Facts that go with an error, beside its message. */
export interface DynamoErrorOptions {
  cause?: unknown;
  /** `backend` when a worker's handler raised it; default `local`. */
  origin?: 'local' | 'backend';
  data?: Readonly<Record<string, unknown>>;
}

/** Codes that a backend, too, may raise of itself; its other connections and limits are behind it and would fail elsewhere as well. */
const retryableFromBackend: readonly DynamoErrorCode[] = ['engine_shutdown', 'stream_incomplete'];

/** Codes that forbid another try wherever they stand in a chain: the caller wants no more, or the whole system is full. */
const final: readonly DynamoErrorCode[] = ['cancelled', 'resource_exhausted', 'queue_limit_exceeded', 'rate_limited'];

/** Longest chain of causes that is looked at; chains can be endless. */
const maxCauses = 8;

/**
 * Whether another instance may be sent the same request after this error (spec runtime-wire 9.4): one error of its chain of
 * causes says so, and none forbids it.
 */
export function isRetryable(error: unknown): boolean {
  let found = false;
  let at = error;
  for (let depth = 0; depth < maxCauses && DynamoError.is(at); depth++) {
    if (final.includes(at.code)) return false;
    found ||= errorTable[at.code].retryable && (at.origin === 'local' || retryableFromBackend.includes(at.code) || at.code === 'worker_unavailable');
    at = at.cause;
  }
  return found;
}

const marker: symbol = Symbol.for('dynamo.error');

/**
 * The one error of this system: a closed code, a message, and facts as fields.
 *
 * Compare by `code` or with `DynamoError.is`, never by `instanceof`: two installed copies must understand each other.
 */
export class DynamoError extends Error {
  override readonly name = 'DynamoError';
  readonly code: DynamoErrorCode;
  readonly origin: 'local' | 'backend';
  readonly data: Readonly<Record<string, unknown>>;

  static {
    Object.defineProperty(this.prototype, marker, { value: true });
  }

  constructor(code: DynamoErrorCode, message: string, options: DynamoErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.origin = options.origin ?? 'local';
    this.data = options.data ?? {};
  }

  /** True for a `DynamoError` of any installed copy, and, when codes are given, only with one of them. */
  static is(value: unknown, ...codes: DynamoErrorCode[]): value is DynamoError {
    if (typeof value !== 'object' || value === null || !Reflect.has(value, marker)) return false;
    return codes.length === 0 || codes.includes((value as DynamoError).code);
  }

  /** Turns anything thrown into a `DynamoError`: aborts become `cancelled`, the rest `unknown` with the original as cause. */
  static from(value: unknown): DynamoError {
    if (DynamoError.is(value)) return value;
    if (value instanceof Error && value.name === 'AbortError') return new DynamoError('cancelled', value.message, { cause: value });
    if (value instanceof Error && value.name === 'TimeoutError') return new DynamoError('deadline_exceeded', value.message, { cause: value });
    return new DynamoError('unknown', value instanceof Error ? value.message : String(value), { cause: value });
  }
}
