import type { DistributedRuntime, EndpointPath, Handler, HandlerContext, Served } from '@dynamo/runtime';
import { type BatchedIterable, batchesOf, encodeModel, itemsOf } from '@dynamo/runtime/internal';
import { type CardOptions, cardFromDirectory } from '../model/card.ts';
import type { Engine } from './engine.ts';
import { encodeEngineOutput } from '@dynamo/kv-router/internal';
import { decodeTokenRequest } from '@dynamo/kv-router/internal';

/** A model to serve: the first three members are all that is needed. */
export interface ServeModelOptions extends CardOptions {
  endpoint: EndpointPath;
  /** Folder with config.json and tokenizer.json. */
  model: string;
  /** From token ids to tokens; with `input: 'text'` or the surface `embedding`, from the wire's request to the wire's answer. */
  engine: Engine | Handler<never, unknown>;
  /** Aborting it withdraws the model. */
  signal?: AbortSignal;
}

/** Serves the engine and then publishes its card, so that a frontend that sees the card reaches the engine. */
export async function serveModel(runtime: DistributedRuntime, options: ServeModelOptions): Promise<Served> {
  const card = await cardFromDirectory(options.model, options);
  await using undo = new AsyncDisposableStack();
  const served = undo.use(await runtime.serve(options.endpoint, handlerOf(options)));
  const { id, namespace, component, endpoint } = served.instance;
  undo.use(await runtime.discovery.put(encodeModel({ id, namespace, component, endpoint, card: { ...card } })));
  return ownedModel(runtime, { served, kept: undo.move(), signal: options.signal });
}

/** Withdraws the card first and drains the endpoint then, whoever asks for it: the caller, the signal or the runtime's shutdown. */
function ownedModel(
  runtime: DistributedRuntime,
  { served, kept, signal }: { served: Served; kept: AsyncDisposableStack; signal: AbortSignal | undefined },
): Served {
  const close = async (): Promise<void> => {
    signal?.removeEventListener('abort', onAbort);
    try {
      await kept.disposeAsync();
    } finally {
      ownership[Symbol.dispose]();
    }
  };
  let closing: Promise<void> | undefined;
  const model: Served = {
    ...served,
    pause: () => served.pause(),
    resume: () => served.resume(),
    [Symbol.asyncDispose]: () => (closing ??= close()),
  };
  const ownership = runtime.own(model);
  const onAbort = (): void =>
    void Promise.resolve(model[Symbol.asyncDispose]()).catch((error: unknown) =>
      runtime.log.error({ error: String(error) }, 'could not withdraw a model'),
    );
  signal?.addEventListener('abort', onAbort, { once: true });
  if (signal?.aborted === true) onAbort();
  return model;
}

/** Engines that get no token ids, and those that make vectors, speak the wire's own values (spec llm 2.6, 2.7). */
function handlerOf({ engine, input, surfaces }: ServeModelOptions): Handler<never, unknown> {
  return input === 'text' || surfaces?.includes('embedding') === true ? (engine as Handler<never, unknown>) : wireHandler(engine as Engine);
}

/** The engine as the wire sees it; batches stay batches. */
const wireHandler =
  (engine: Engine) =>
  (request: unknown, context: HandlerContext): BatchedIterable<Record<string, unknown>> => {
    const chunks = engine(decodeTokenRequest(request), context);
    return itemsOf(async function* () {
      for await (const batch of batchesOf(chunks)) yield batch.map(encodeEngineOutput);
    });
  };
