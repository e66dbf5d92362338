import { slugOf } from './card.ts';
import type { WireCard } from './wire-card.ts';

/** What an adapter's card says beside what it has of its base. */
export interface AdapterFacts {
  readonly name: string;
  /** How many adapters the worker keeps on its GPU at once. */
  readonly slots?: number | undefined;
  readonly userData?: unknown;
}

/**
 * The card of an adapter: that of its base model under the adapter's name (spec llm 1.3, lora-recorder-misc 3).
 *
 * The base's further names, its own user data and its router are not the adapter's.
 */
export function adapterCard(base: WireCard, { name, slots, userData }: AdapterFacts): WireCard {
  const { aliases: _aliases, user_data: _userData, router_config: _router, runtime_config, media_decoder, media_fetcher, ...model } = base;
  return {
    ...model,
    display_name: name,
    slug: slugOf(name),
    lora: { name, ...(slots === undefined ? {} : { max_gpu_lora_count: slots }) },
    ...(userData === undefined ? {} : { user_data: userData }),
    runtime_config,
    media_decoder,
    media_fetcher,
  };
}
