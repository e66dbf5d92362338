import { randomUUID } from 'node:crypto';
import { DynamoError } from '@dynamo/runtime';
import { linkSignals } from '@dynamo/runtime/internal';
import type { Account } from '../access/account.ts';
import type { RequestRecord } from '../frontend/frontend-metrics.ts';
import { AnswerFailed } from '../http/answer-failed.ts';
import type { Asking } from '../http/asking.ts';
import { settleRecord } from '../http/exchange.ts';
import type { RouteParts } from '../http/routes/parts.ts';

/** Headers of a call that go on to the worker as they came (spec runtime-wire 11). */
const passedOn = ['traceparent', 'tracestate', 'x-request-id'] as const;

/** Why a call ended before its answer did. */
export const clientLeft = 'the client left';

/** One request for inference, from its reading to its end: counted once, and ended with whoever asked. */
export class Inference implements Disposable {
  readonly asking: Asking;
  /** Aborts when the client leaves, or the frontend can wait no longer. */
  readonly signal: AbortSignal;
  readonly #release: () => void;
  #record: RequestRecord | undefined;

  constructor(
    parts: RouteParts,
    call: { left: AbortSignal; cut: AbortSignal; headers: Readonly<Record<string, string>>; account: Account | undefined },
  ) {
    const linked = linkSignals(call.left, call.cut);
    this.signal = linked.signal;
    this.#release = () => linked[Symbol.dispose]();
    const headers: Record<string, string> = {};
    for (const name of passedOn) {
      const value = call.headers[name];
      if (value !== undefined) headers[name] = value;
    }
    this.asking = {
      request: { headers: call.headers },
      parts,
      id: randomUUID(),
      headers,
      begin: (asked) => {
        const counted = asked.endpoint === 'completions' ? ({ ...asked, cancelledAs: 'grpc_completions' } as const) : asked;
        return (this.#record = parts.access.meteredBy(call.account, asked, () => parts.metrics.start(counted)));
      },
      watch: () => ({ signal: this.signal, cut: undefined, [Symbol.dispose]: () => undefined }),
      left: (cause) => cause,
    };
  }

  /** The answer is complete. */
  end(): void {
    this.#record?.end({});
    this.#record = undefined;
  }

  /** Counts what went wrong, and gives it back as what it was. */
  fail(thrown: unknown): unknown {
    const cause: unknown = thrown instanceof AnswerFailed ? thrown.cause : thrown;
    const error: unknown = this.signal.aborted && DynamoError.is(this.signal.reason) ? this.signal.reason : cause;
    this.#settle(DynamoError.is(error) ? error : DynamoError.from(error));
    return error;
  }

  [Symbol.dispose](): void {
    // Whoever read the answer has left in its midst.
    if (this.#record !== undefined) this.#settle(new DynamoError('cancelled', clientLeft));
    this.#release();
  }

  #settle(error: DynamoError): void {
    if (this.#record === undefined) return;
    settleRecord(this.#record, error);
    this.#record = undefined;
  }
}
