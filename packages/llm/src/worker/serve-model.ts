import type { DistributedRuntime, EndpointPath, HandlerContext, Served } from '@dynamo/runtime';
import { type BatchedIterable, batchesOf, encodeModel, itemsOf } from '@dynamo/runtime/internal';
import { type CardOptions, cardFromDirectory } from '../model/card.ts';
import type { Engine } from '../request.ts';
import { encodeEngineOutput } from '../wire/engine-output.ts';
import { decodeTokenRequest } from '../wire/preprocessed-request.ts';

/** A model to serve: the first three members are all that is needed. */
export interface ServeModelOptions extends CardOptions {
  endpoint: EndpointPath;
  /** Folder with config.json and tokenizer.json. */
  model: string;
  engine: Engine;
  /** Aborting it withdraws the model. */
  signal?: AbortSignal;
}

/** Serves the engine and then publishes its card, so that a frontend that sees the card reaches the engine. */
export async function serveModel(runtime: DistributedRuntime, options: ServeModelOptions): Promise<Served> {
  const card = await cardFromDirectory(options.model, options);
  await using undo = new AsyncDisposableStack();
  const served = undo.use(
    await runtime.serve(options.endpoint, wireHandler(options.engine), options.signal === undefined ? {} : { signal: options.signal }),
  );
  const { id, namespace, component, endpoint } = served.instance;
  undo.use(await runtime.discovery.put(encodeModel({ id, namespace, component, endpoint, card: { ...card } })));
  const kept = undo.move();
  return {
    instance: served.instance,
    closed: served.closed,
    pause: () => served.pause(),
    resume: () => served.resume(),
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
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
