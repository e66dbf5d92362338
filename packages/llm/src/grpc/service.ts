import { setMaxListeners } from 'node:events';
import type { sendUnaryData, UntypedServiceImplementation } from '@grpc/grpc-js';
import { DynamoError } from '@dynamo/runtime';
import type { Account } from '../access/account.ts';
import { type GateLimits, RequestGate } from '../http/gate.ts';
import type { RouteParts } from '../http/routes/parts.ts';
import { Inference } from './call.ts';
import { Caller, type Duplex, headersOf, type Unary, write } from './caller.ts';
import { describeTensors, describeText, type Described } from './describe.ts';
import { findModel, inferOnce, inferStream } from './infer.ts';
import {
  decodeInferRequest,
  decodeModelName,
  encodeConfigResponse,
  encodeInferResponse,
  encodeMetadata,
  encodeStreamResponse,
  encodeTruth,
} from './messages.ts';
import { unimplemented } from './methods.ts';
import { failureOfCall, GrpcFailure, status } from './status.ts';

/** The methods, and the calls that they are at. */
export class Service {
  readonly #parts: RouteParts;
  readonly #readerMs: number;
  readonly #gate: RequestGate | undefined;
  readonly #cut = new AbortController();
  readonly #draining = new AbortController();
  #running = 0;
  #onIdle: (() => void) | undefined;

  constructor(parts: RouteParts, { gate, readerMs }: { gate: GateLimits | undefined; readerMs: number }) {
    this.#parts = parts;
    this.#readerMs = readerMs;
    this.#gate = gate === undefined ? undefined : new RequestGate(gate);
    // As many calls as there are listen to these two.
    setMaxListeners(0, this.#cut.signal, this.#draining.signal);
  }

  get handlers(): UntypedServiceImplementation {
    const { models } = this.#parts;
    const isReady = (name: string): boolean => models.list().some(({ id }) => id === name);
    return {
      ServerLive: this.#told(() => encodeTruth(true)),
      ServerReady: this.#told(() => encodeTruth(models.list().length > 0)),
      ModelReady: this.#guarded((bytes) => encodeTruth(isReady(decodeModelName(bytes)))),
      ModelMetadata: this.#guarded((bytes) => encodeMetadata(this.#describe(bytes).description)),
      ModelConfig: this.#guarded((bytes) => encodeConfigResponse(this.#describe(bytes).config)),
      ModelInfer: (call: Unary, done: sendUnaryData<Buffer>) => void this.#answerOnce(call, done),
      ModelStreamInfer: (call: Duplex) => void this.#answerStream(call),
      ...Object.fromEntries(
        unimplemented.map((name) => [name, (_: Unary, done: sendUnaryData<Buffer>) => done(new GrpcFailure(status.unimplemented, ''))]),
      ),
    };
  }

  /** Takes nothing new, and settles when nothing runs; what takes longer than `limitMs` is cut. */
  async drain(limitMs: number): Promise<void> {
    this.#draining.abort();
    if (this.#running === 0) return;
    const idle = new Promise<void>((resolve) => (this.#onIdle = resolve));
    const message = `The frontend shuts down, and this answer did not end within its ${limitMs} ms`;
    const timer = setTimeout(() => this.#cut.abort(new DynamoError('unavailable', message)), limitMs);
    await idle;
    clearTimeout(timer);
  }

  /** A method that is answered at once. */
  #told(answer: (bytes: Buffer, call: Unary) => Buffer) {
    return (call: Unary, done: sendUnaryData<Buffer>): void => {
      try {
        done(null, answer(call.request, call));
      } catch (error) {
        done(this.#failure(error));
      }
    };
  }

  /** The same for whoever has a key, where keys are asked for. */
  #guarded(answer: (bytes: Buffer) => Buffer) {
    return this.#told((bytes, call) => {
      this.#parts.access.holder(headersOf(call));
      return answer(bytes);
    });
  }

  #describe(bytes: Buffer): Described {
    const name = decodeModelName(bytes);
    const { kind, model } = findModel(this.#parts, name);
    return kind === 'text' ? describeText(name) : describeTensors(model.card);
  }

  async #answerOnce(call: Unary, done: sendUnaryData<Buffer>): Promise<void> {
    try {
      done(null, await this.#infer(call));
    } catch (error) {
      done(this.#failure(error));
    }
  }

  async #answerStream(call: Duplex): Promise<void> {
    try {
      await this.#stream(call);
      call.end();
    } catch (error) {
      call.emit('error', this.#failure(error));
    }
  }

  async #infer(call: Unary): Promise<Buffer> {
    using caller = new Caller(call);
    using _ = this.#enter();
    return await this.#one(call.request, caller, async (request, inference) => encodeInferResponse(await inferOnce(request, inference)));
  }

  /** Requests of a stream are answered one after the other. */
  async #stream(call: Duplex): Promise<void> {
    using caller = new Caller(call);
    const requests = call.iterator({ destroyOnReturn: false }) as AsyncIterator<Buffer>;
    for (;;) {
      const next = await this.#beforeDrain(requests.next());
      if (caller.left.aborted || next.done === true) return;
      using _ = this.#enter();
      await this.#one(next.value, caller, async (request, inference) => {
        for await (const response of inferStream(request, inference))
          await write(call, encodeStreamResponse(response), { signal: inference.signal, readerMs: this.#readerMs });
      });
    }
  }

  /** Admits one request and answers it. */
  async #one<T>(
    bytes: Buffer,
    caller: Caller,
    answer: (request: ReturnType<typeof decodeInferRequest>, inference: Inference) => Promise<T>,
  ): Promise<T> {
    const account: Account | undefined = this.#parts.access.admit(caller.headers);
    const request = decodeInferRequest(bytes);
    using _ = await this.#place(caller.left);
    using inference = new Inference(this.#parts, { left: caller.left, cut: this.#cut.signal, headers: caller.headers, account });
    return await answer(request, inference);
  }

  /** A place among the requests that are answered at once. */
  async #place(left: AbortSignal): Promise<Disposable | undefined> {
    const gate = this.#gate;
    if (gate === undefined) return undefined;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const place = gate.enter((error) => (error === undefined ? resolve() : reject(error)));
    const onLeave = (): void => reject(left.reason as Error);
    left.addEventListener('abort', onLeave, { once: true });
    try {
      left.throwIfAborted();
      await promise;
      return place;
    } catch (error) {
      place[Symbol.dispose]();
      throw error;
    } finally {
      left.removeEventListener('abort', onLeave);
    }
  }

  /** The next request of a stream; a client that sends none does not hold up a drain. */
  async #beforeDrain<T>(next: Promise<T>): Promise<T> {
    const { signal } = this.#draining;
    const { promise, reject } = Promise.withResolvers<T>();
    const onDrain = (): void => reject(new DynamoError('unavailable', 'the frontend shuts down: it takes no new requests'));
    if (signal.aborted) onDrain();
    signal.addEventListener('abort', onDrain, { once: true });
    try {
      return await Promise.race([next, promise]);
    } finally {
      signal.removeEventListener('abort', onDrain);
    }
  }

  #enter(): Disposable {
    if (this.#draining.signal.aborted) throw new DynamoError('unavailable', 'the frontend shuts down: it takes no new requests');
    this.#running++;
    return {
      [Symbol.dispose]: () => {
        if (--this.#running === 0) this.#onIdle?.();
      },
    };
  }

  #failure(thrown: unknown): GrpcFailure {
    const failure = failureOfCall(thrown);
    const knob = DynamoError.is(thrown) ? thrown.data['knob'] : undefined;
    if (typeof knob === 'string') this.#parts.metrics.refused(knob);
    if (failure.code === status.internal)
      this.#parts.log.warn({ error: failure.cause instanceof Error ? String(failure.cause) : failure.details }, 'a KServe request failed');
    return failure;
  }
}
