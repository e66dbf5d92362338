import { type CallOptions, type Client, DynamoError, type Handler, type Instance } from '@dynamo/runtime';
import { batchesOf, Context, decodeError, encodeError, itemsOf } from '@dynamo/runtime/internal';
import { setImmediate as breathe } from 'node:timers/promises';

/** Items that an engine may give without ever waiting, before everything else in the process gets its turn. */
const itemsAtOnce = 64;

/** How requests and items cross to an engine in the same process. */
export interface EngineCodec<Req> {
  readonly request: (request: Req) => unknown;
  readonly item: (item: unknown) => unknown;
}

/** A client whose only worker is a function of this process: no discovery, no socket, and the same errors as from afar. */
export function engineClient<Req>(engine: Handler<never, unknown>, codec: EngineCodec<Req>): Client<Req, unknown> {
  const instances: readonly Instance[] = [];
  return {
    instances,
    ready: async () => instances,
    generate: (request, call = {}) => itemsOf(() => run(engine, { request, codec }, call)),
    [Symbol.asyncDispose]: async () => undefined,
  };
}

/** Reads an engine's answer. An engine that heeds no signal holds nobody up: its next item is not waited for. */
async function* run<Req>(
  engine: Handler<never, unknown>,
  { request, codec }: { request: Req; codec: EngineCodec<Req> },
  call: CallOptions,
): AsyncGenerator<readonly unknown[]> {
  using ending = new Ending(call);
  let items: AsyncIterator<readonly unknown[]> | undefined;
  try {
    items = batchesOf(engine(codec.request(request) as never, ending.context))[Symbol.asyncIterator]();
    let since = 0;
    for (;;) {
      const step = await ending.orElse(items.next());
      if (step.done === true) {
        items = undefined;
        return;
      }
      ending.seen();
      yield step.value.map(codec.item);
      since += step.value.length;
      if (since < itemsAtOnce) continue;
      since = 0;
      await breathe();
    }
  } catch (error) {
    throw ending.error ?? raised(error);
  } finally {
    if (items !== undefined) {
      ending.context.kill();
      // An engine in the midst of an item ends when it gets there.
      Promise.resolve(items.return?.()).catch(() => undefined);
    }
  }
}

/** What an engine throws reaches the caller as it would from afar, with the engine's own error as its cause. */
function raised(thrown: unknown): DynamoError {
  const { code, message, origin, data } = decodeError(encodeError(thrown));
  return new DynamoError(code, message, { origin, data, cause: thrown });
}

/** What ends a call early: its signal, or one of its limits. */
class Ending implements Disposable {
  readonly context: Context;
  error: DynamoError | undefined;
  readonly #call: CallOptions;
  readonly #limit: NodeJS.Timeout | undefined;
  #silence: NodeJS.Timeout | undefined;
  #reject: ((error: DynamoError) => void) | undefined;

  constructor(call: CallOptions) {
    this.#call = call;
    const { id, metadata, headers = {}, signal, timeoutMs } = call;
    this.context = Context.read({ id: id ?? new Context().id, metadata: metadata ?? {}, headers });
    if (timeoutMs !== undefined)
      this.#limit = setTimeout(() => this.#end(new DynamoError('deadline_exceeded', `no complete answer within ${timeoutMs} ms`)), timeoutMs);
    this.#wait(call.firstItemMs ?? call.idleMs);
    if (signal?.aborted === true) this.#onAbort();
    else signal?.addEventListener('abort', this.#onAbort, { once: true });
  }

  /** The engine's next step, unless the call ends before it. */
  orElse<T>(step: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#reject = reject;
      if (this.error !== undefined) reject(this.error);
      step.then(resolve, reject);
    });
  }

  /** An item has come. */
  seen(): void {
    clearTimeout(this.#silence);
    this.#wait(this.#call.idleMs);
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#limit);
    clearTimeout(this.#silence);
    this.#call.signal?.removeEventListener('abort', this.#onAbort);
    this.context[Symbol.dispose]();
  }

  readonly #onAbort = (): void => {
    const reason: unknown = this.#call.signal?.reason;
    this.#end(DynamoError.is(reason) ? reason : new DynamoError('cancelled', 'the caller cancelled the request', { cause: reason }));
  };

  #wait(ms: number | undefined): void {
    if (ms !== undefined) this.#silence = setTimeout(() => this.#end(new DynamoError('response_timeout', `the engine was silent for ${ms} ms`)), ms);
  }

  #end(error: DynamoError): void {
    if (this.error !== undefined) return;
    this.error = error;
    if (error.data['kind'] === 'kill') this.context.kill(error);
    else this.context.stop(error);
    this.#reject?.(error);
  }
}
