import type { ServerDuplexStream, ServerUnaryCall } from '@grpc/grpc-js';
import { DynamoError } from '@dynamo/runtime';
import { clientLeft } from './call.ts';

export type Unary = ServerUnaryCall<Buffer, Buffer>;
export type Duplex = ServerDuplexStream<Buffer, Buffer>;

/** Whoever is at the other end of a call. */
export class Caller implements Disposable {
  readonly headers: Readonly<Record<string, string>>;
  readonly #left = new AbortController();
  readonly #call: Unary | Duplex;

  constructor(call: Unary | Duplex) {
    this.#call = call;
    this.headers = headersOf(call);
    if (call.cancelled) this.#onCancel();
    else call.once('cancelled', this.#onCancel);
  }

  /** Aborts when the client has left, or its deadline has passed. */
  get left(): AbortSignal {
    return this.#left.signal;
  }

  [Symbol.dispose](): void {
    this.#call.off('cancelled', this.#onCancel);
  }

  readonly #onCancel = (): void => this.#left.abort(new DynamoError('cancelled', clientLeft));
}

/** The texts among a call's metadata. */
export function headersOf({ metadata }: Unary | Duplex): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(metadata.getMap())) if (typeof value === 'string') headers[name] = value;
  return headers;
}

/** Writes a message, and waits while the client takes nothing. */
export async function write(call: Duplex, bytes: Buffer, { signal, readerMs }: { signal: AbortSignal; readerMs: number }): Promise<void> {
  if (call.write(bytes)) return;
  await new Promise<void>((resolve, reject) => {
    const settle = (end: () => void) => (): void => {
      clearTimeout(timer);
      call.off('drain', onDrain);
      signal.removeEventListener('abort', onAbort);
      end();
    };
    const onDrain = settle(resolve);
    const onAbort = settle(() => reject(signal.reason as Error));
    const late = new DynamoError('deadline_exceeded', `the client took nothing of its answer for ${readerMs} ms`);
    const timer = setTimeout(
      settle(() => reject(late)),
      readerMs,
    );
    call.once('drain', onDrain);
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
  });
}
