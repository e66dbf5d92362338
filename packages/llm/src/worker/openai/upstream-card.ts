import { DynamoError } from '@dynamo/runtime';
import { cardFromDirectory, slugOf } from '../../model/card.ts';
import { ModelRuntimeConfig } from '../../model/runtime-config.ts';
import { inputFlags, modelType } from '../../model/surfaces.ts';
import type { WireCard } from '../../model/wire-card.ts';
import type { UpstreamFacts } from './facts.ts';

/** What the operator says of an upstream's model; the upstream's own word counts where something is absent. */
export interface UpstreamCardOptions {
  /** Model folder. */
  readonly folder?: string | undefined;
  readonly name?: string | undefined;
  readonly input?: 'tokens' | 'text' | undefined;
  readonly blockSize?: number | undefined;
  /** Whether the events of its cache are relayed. */
  readonly tellsEvents: boolean;
}

/** Tokens of a block where nobody says it. */
const usualBlockSize = 16;

/**
 * The card of an upstream's model: with token ids where there is a model folder, else for requests that are passed on.
 *
 * @throws DynamoError `not_found` for a folder that is none, `invalid_argument` for token ids without one.
 */
export async function upstreamCard(facts: UpstreamFacts, options: UpstreamCardOptions): Promise<WireCard> {
  const folder = options.folder ?? facts.folder;
  const name = options.name ?? facts.model.id;
  const input = options.input ?? (folder === undefined ? 'text' : 'tokens');
  const blockSize = options.blockSize ?? facts.cache.blockSize ?? usualBlockSize;
  const { contextLength } = facts.model;
  if (folder === undefined) {
    if (input === 'tokens')
      throw new DynamoError('invalid_argument', `requests of token ids for '${name}' need its model folder: name it with --model-path`, {
        data: { model: name },
      });
    return passedCard({ name, contextLength });
  }
  const card = await cardFromDirectory(folder, {
    name,
    input,
    blockSize,
    ...(contextLength === undefined ? {} : { contextLength }),
    ...(facts.cache.blocks === undefined ? {} : { capacity: { kvBlocks: facts.cache.blocks } }),
  });
  return { ...card, runtime_config: telling(ModelRuntimeConfig.fromWire(card.runtime_config), options.tellsEvents) };
}

const telling = (config: ModelRuntimeConfig, tellsEvents: boolean): WireCard['runtime_config'] => ({
  ...config.with({ localIndexer: tellsEvents }).toWire(),
  kv_event_publishing_enabled: tellsEvents,
});

/** A card without files: the upstream renders and tokenizes. */
function passedCard({ name, contextLength }: { name: string; contextLength: number | undefined }): WireCard {
  return {
    display_name: name,
    slug: slugOf(name),
    source_path: name,
    model_info: null,
    tokenizer: null,
    context_length: contextLength ?? 0,
    kv_cache_block_size: usualBlockSize,
    migration_limit: 0,
    model_type: modelType(['chat', 'completions']),
    model_input: inputFlags.text,
    worker_type: 'aggregated',
    needs: [],
    runtime_config: telling(new ModelRuntimeConfig(contextLength === undefined ? {} : { contextLength }), false),
    media_decoder: null,
    media_fetcher: null,
  };
}
