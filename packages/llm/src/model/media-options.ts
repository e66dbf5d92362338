import type { MultimodalOptions } from '@dynamo/multimodal';
import type { WireCard } from './wire-card.ts';

/** How a worker of ours says in its `runtime_data` that it reads pixels over our own transfer: a frontend of NIXL pays no heed to it. */
export const ownTransfer = { name: 'media_transfer', value: 'dyn+tcp' } as const;

/** A card's members on media: null where the worker fetches them itself. */
export async function mediaMembersOf(
  options: Pick<MultimodalOptions, 'fetch' | 'decode'> | undefined,
): Promise<Pick<WireCard, 'media_decoder' | 'media_fetcher'>> {
  if (options === undefined) return { media_decoder: null, media_fetcher: null };
  const { encodeMediaCard } = await import('@dynamo/multimodal/internal');
  return encodeMediaCard(options);
}
