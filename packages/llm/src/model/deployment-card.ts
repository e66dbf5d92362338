import { DynamoError, type InstanceId } from '@dynamo/runtime';
import { decodeModel, type DiscoveryHost, encodeJsonText, float } from '@dynamo/runtime/internal';
import { type CardOptions, cardFromDirectory, slugOf } from './card.ts';
import { cardChecksum } from './checksum.ts';
import { ModelRuntimeConfig } from './runtime-config.ts';
import type { WireCard } from './wire-card.ts';

/** A card and the instance that published it. */
export interface PublishedCard {
  readonly namespace: string;
  readonly component: string;
  readonly endpoint: string;
  readonly instance: InstanceId;
  readonly card: ModelDeploymentCard;
}

/**
 * What a worker tells about its model, so that frontends and planners can use it without seeing the model (spec llm 1.3).
 *
 * Serving needs none: `Llm.serve` makes and publishes the card.
 */
export class ModelDeploymentCard {
  /** The card with its wire names. */
  readonly wire: WireCard;
  /** How its workers run it. */
  readonly runtimeConfig: ModelRuntimeConfig;
  #mdcsum: Promise<string> | undefined;

  private constructor(wire: WireCard) {
    this.wire = wire;
    this.runtimeConfig = ModelRuntimeConfig.fromWire(wire.runtime_config);
  }

  /**
   * The card of a model folder, as registering it would publish.
   *
   * @throws DynamoError `not_found` naming the folder or the file in it that is missing.
   */
  static async fromDirectory(path: string, options?: CardOptions): Promise<ModelDeploymentCard> {
    return new ModelDeploymentCard(await cardFromDirectory(path, options));
  }

  /**
   * Reads a card of any kind of model; members that it doesn't know are kept.
   *
   * From text, `1.0` stays apart from `1`, which the checksum of a router configuration tells.
   *
   * @throws DynamoError `invalid_argument` when it is no card.
   */
  static fromJson(json: string | Readonly<Record<string, unknown>>): ModelDeploymentCard {
    const raw = typeof json === 'string' ? parse(json) : json;
    if (typeof raw !== 'object' || raw === null || !('display_name' in raw) || typeof raw.display_name !== 'string')
      throw new DynamoError('invalid_argument', 'a model card is an object with a display_name');
    return new ModelDeploymentCard(withDefaults(raw as Partial<WireCard> & { display_name: string }));
  }

  /** Every card that discovery shows in a namespace, a component or an endpoint; entries that are no cards are passed over. */
  static async list(host: DiscoveryHost, scope: { namespace: string; component?: string; endpoint?: string }): Promise<readonly PublishedCard[]> {
    const prefix = [scope.namespace, scope.component, scope.endpoint].filter((name) => name !== undefined).join('/');
    const records = await host.discovery.list({ bucket: 'v1/mdc', prefix });
    return records.flatMap((record) => {
      const model = decodeModel(record);
      const raw = (model === undefined ? undefined : (parse(record.value) as { card_json: unknown }).card_json) as { display_name?: unknown };
      if (model === undefined || typeof raw.display_name !== 'string') return [];
      const { namespace, component, endpoint, id } = model;
      return [{ namespace, component, endpoint, instance: id, card: ModelDeploymentCard.fromJson(raw as Record<string, unknown>) }];
    });
  }

  /** Name that clients ask for. */
  get name(): string {
    return this.wire.display_name;
  }

  /** The name as it stands in paths. */
  get slug(): string {
    return this.wire.slug;
  }

  /** Further names. */
  get aliases(): readonly string[] {
    return this.wire.aliases ?? [];
  }

  /** Longest sequence in tokens: the worker's limit, else the model's. */
  get contextLength(): number {
    return this.wire.runtime_config.context_length ?? this.wire.architectural_max_context_length ?? this.wire.context_length;
  }

  /** Tokens in a KV block; 0 where the model has none. */
  get blockSize(): number {
    return this.wire.kv_cache_block_size;
  }

  /** What the model answers, such as `['Chat', 'Completions']`. */
  get surfaces(): readonly string[] {
    return this.wire.model_type.split(' | ').filter(Boolean);
  }

  /** Which part of a request its workers do: `aggregated`, `prefill`, `decode` or `encode`. */
  get role(): string {
    return this.wire.worker_type;
  }

  /** What the worker passed on, for whoever knows it. */
  get userData(): unknown {
    return this.wire.user_data;
  }

  /** Checksum that all workers of one set must show alike, in hex (spec llm 1.5). */
  mdcsum(): Promise<string> {
    return (this.#mdcsum ??= cardChecksum(this.wire));
  }

  /** The card as discovery carries it. */
  toJson(): string {
    return encodeJsonText(this.wire);
  }
}

/** A card of an older or newer worker may lack what the checksum and the readers look at. */
const withDefaults = (raw: Partial<WireCard> & { display_name: string }): WireCard => ({
  source_path: null,
  model_info: null,
  tokenizer: null,
  slug: slugOf(raw.display_name),
  context_length: 0,
  kv_cache_block_size: 0,
  migration_limit: 0,
  model_type: '',
  model_input: '',
  worker_type: '',
  needs: [],
  media_decoder: null,
  media_fetcher: null,
  ...raw,
  runtime_config: raw.runtime_config ?? {},
});

function parse(text: string): unknown {
  try {
    return JSON.parse(text, exact);
  } catch (cause) {
    throw new DynamoError('invalid_argument', `a model card that is not JSON: ${(cause as Error).message}`, { cause });
  }
}

/** Whole floats stay floats, and integers beyond 2^53 keep their digits. */
function exact(_key: string, value: unknown, context?: { source?: string }): unknown {
  if (typeof value !== 'number' || context?.source === undefined) return value;
  if (Number.isInteger(value) && /[.eE]/.test(context.source)) return float(value);
  return Number.isSafeInteger(value) || !/^-?\d{1,20}$/.test(context.source) ? value : BigInt(context.source);
}
