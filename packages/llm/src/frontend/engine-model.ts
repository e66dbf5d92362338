import type { TokenChunk, TokenRequest } from '@dynamo/kv-router';
import { encodeEngineOutput } from '@dynamo/kv-router/internal';
import type { Client, Handler, Logger } from '@dynamo/runtime';
import { decodeMsgpack, encodeMsgpack } from '@dynamo/runtime/internal';
import { patient, type Patience } from '../clients/patient.ts';
import { type CardOptions, cardFromDirectory } from '../model/card.ts';
import { cardChecksum } from '../model/checksum.ts';
import { surfacesOf } from '../model/surfaces.ts';
import type { WireCard } from '../model/wire-card.ts';
import { modelParsers } from '../parsers/for-request.ts';
import type { Engine } from '../worker/engine.ts';
import type { Tensors } from '../model/tensor-types.ts';
import { tensorHandler } from '../worker/tensors.ts';
import { engineClient } from './engine-client.ts';
import type { ModelFileStore } from './model-files.ts';
import type { AnyModel, ListedModel, ModelDirectory, Readiness, Surface } from './serving-model.ts';
import { ThresholdStore } from './thresholds.ts';
import type { WireRequest } from './wire-request.ts';
import { parsersOf } from './card-facts.ts';

/** One engine of this process, and the model that it runs. */
export interface LocalEngine extends CardOptions {
  readonly model: string;
  readonly run: Engine | Handler<never, unknown>;
}

/** The directory of a frontend that has one engine in its own process and looks at no discovery. */
export class EngineModel implements ModelDirectory {
  readonly thresholds: ThresholdStore = new ThresholdStore({}, () => undefined);
  readonly card: WireCard;
  readonly #model: AnyModel;
  readonly #created = Math.floor(Date.now() / 1_000);

  private constructor(model: AnyModel) {
    this.#model = model;
    this.card = model.card;
  }

  /**
   * Loads the model's files; the model is ready at once.
   *
   * @throws DynamoError `not_found` when the model folder or a file in it is missing.
   */
  static async open(engine: LocalEngine, parts: { files: ModelFileStore; patience: Patience; log: Logger }): Promise<EngineModel> {
    const card = await cardFromDirectory(engine.model, engine);
    const raw = patient(wireClient(handlerOf(engine)), parts.patience);
    const common = { name: card.display_name, card, cardChecksum: await cardChecksum(card), raw };
    if (engine.input === 'text' || engine.input === 'tensor') return new EngineModel({ ...common, input: 'text' });
    const files = await parts.files.load(card);
    const names = parsersOf(card);
    return new EngineModel({
      ...common,
      ...files,
      ...names,
      input: 'tokens',
      parsers: modelParsers(names, {
        tokenizer: files.tokenizer,
        unknown: (kind, parser) => parts.log.warn({ model: card.display_name, parser }, `the engine's model names an unknown ${kind} parser`),
      }),
      client: patient(tokenClient(engine.run as Engine), parts.patience),
      choosesRanks: false,
      isOverloaded: () => false,
    });
  }

  find(name: string, surface: Surface): AnyModel | undefined {
    return this.has(surface) && this.#names.includes(name) ? this.#model : undefined;
  }

  has(surface: Surface): boolean {
    return surfacesOf(this.card.model_type).includes(surface);
  }

  list(): readonly ListedModel[] {
    return this.#names.map((id) => ({ id, created: this.#created, contextLength: this.card.context_length }));
  }

  measured(): undefined {
    return undefined;
  }

  readiness(name: string): readonly Readiness[] | undefined {
    if (!this.#names.includes(name)) return undefined;
    return [{ namespace: 'local', ready: true, roles: [{ role: 'aggregated', workers: 1, needs: [] }], missing: [] }];
  }

  get #names(): readonly string[] {
    return [this.card.display_name, ...(this.card.aliases ?? [])];
  }
}

/** A token engine gets the request that it would get from afar, all of its groups present, and its chunks are checked like those. */
const tokenClient = (engine: Engine): Client<TokenRequest, unknown> =>
  engineClient(engine as Handler<never, unknown>, {
    request: (request: TokenRequest) => ({ ...request, stop: request.stop ?? {}, sampling: request.sampling ?? {}, output: request.output ?? {} }),
    item: (chunk) => encodeEngineOutput(chunk as TokenChunk),
  });

/** What gets the client's own request gets plain values: the wire's spellings of numbers are read back. */
const wireClient = (engine: Handler<never, unknown>): Client<WireRequest, unknown> =>
  engineClient(engine, { request: ({ wire }: WireRequest) => decodeMsgpack(encodeMsgpack(wire)), item: (item) => item });

const handlerOf = ({ run, input }: LocalEngine): Handler<never, unknown> =>
  input === 'tensor' ? tensorHandler(run as Handler<Tensors, Tensors>) : (run as Handler<never, unknown>);
