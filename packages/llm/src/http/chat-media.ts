import type { TokenRequest } from '@dynamo/kv-router';
import { padValue } from '@dynamo/kv-router/internal';
import { MediaLoader } from '../frontend/media-loader.ts';
import type { ServingModel } from '../frontend/serving-model.ts';
import type { ChatRequest } from '../openai/chat.ts';
import { publicFailure } from '../openai/failure.ts';
import { mediaMembers, mediaOf, messagesBesideMedia, type RequestedMedium, routingTokens } from '../openai/media-parts.ts';

/**
 * Adds what the worker is told of a conversation's media (spec multimodal 2), and what places it beside workers that know its
 * pictures. A conversation of text stays the same object.
 *
 * @throws DynamoError `invalid_argument` for an image inside a private network.
 */
export async function withMedia(
  tokens: TokenRequest,
  asked: ChatRequest,
  { model, prompt }: { model: ServingModel; prompt: string | undefined },
): Promise<TokenRequest> {
  const media = mediaOf(asked);
  if (media.length === 0) return tokens;
  // Whose images are fetched here has the policy of the card.
  if (!MediaLoader.serves(model.card)) await refuseInside(media);
  const routing = await mediaRouting(tokens, media, model);
  const args = {
    ...(tokens.extra?.['extra_args'] as object | undefined),
    messages: messagesBesideMedia(asked),
    ...(prompt !== undefined && { formatted_prompt: prompt }),
  };
  return { ...tokens, extra: { ...tokens.extra, ...mediaMembers(media), ...routing, extra_args: args } };
}

/** How an answer is opened once it is known what is sent. */
type Opening<Chunk> = (sent: TokenRequest, signal: AbortSignal) => AsyncIterable<readonly Chunk[]>;

/** Decodes a request's images before it is sent, for workers that ask for pixels, and keeps these until it has been answered. */
export function withPixels<Chunk>(
  loader: MediaLoader,
  { asked, model, tokens }: { asked: ChatRequest; model: ServingModel; tokens: TokenRequest },
  open: Opening<Chunk>,
): (signal: AbortSignal) => AsyncIterable<readonly Chunk[]> {
  const images = MediaLoader.serves(model.card) ? mediaOf(asked).filter(({ kind, url }) => kind === 'image_url' && url !== undefined) : [];
  if (images.length === 0) return (signal) => open(tokens, signal);
  return async function* (signal) {
    await using decoded = await loader.decode(images, model.card, signal);
    const data = tokens.extra?.['multi_modal_data'] as Readonly<Record<string, readonly object[]>>;
    let next = 0;
    const list = data['image_url']?.map((one) => ('Url' in one ? decoded.images[next++] : one));
    yield* open({ ...tokens, extra: { ...tokens.extra, multi_modal_data: { ...data, image_url: list } } }, signal);
  };
}

/** An image without a name of its own would be looked at to place its request: not inside this network (observed in 1.6.1). */
async function refuseInside(media: readonly RequestedMedium[]): Promise<void> {
  if (process.env['DYN_MM_ALLOW_INTERNAL'] === '1') return;
  const { leadsInside } = await import('@dynamo/multimodal/internal');
  for (const { kind, url, uuid } of media) {
    if (kind === 'image_url' && uuid === undefined && url !== undefined && leadsInside(url))
      throw publicFailure('invalid_argument', 'Invalid request');
  }
}

/** Only where a router looks at prompts, and the model's files say which token stands for an image. */
async function mediaRouting(tokens: TokenRequest, media: readonly RequestedMedium[], { choosesRanks, imageTokenId }: ServingModel): Promise<object> {
  if (!choosesRanks || imageTokenId === undefined) return {};
  const { contentHash } = await import('@dynamo/multimodal/internal');
  const pads = media
    .filter(({ kind }) => kind === 'image_url')
    .map(({ url, uuid }) => {
      const bytes = Buffer.from(uuid ?? url ?? '');
      return padValue(contentHash({ shape: [bytes.byteLength], bytes }));
    });
  const routed = pads.length === 0 ? undefined : routingTokens(tokens.tokenIds, imageTokenId, pads);
  if (routed === undefined) return {};
  return { mm_routing_info: { routing_token_ids: routed, block_mm_infos: [], expanded_prompt_len: routed.length } };
}
