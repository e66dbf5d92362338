import type { EngineStored } from '../wire/engine-batch.ts';
import type { KvChange, MediaObject, StoredBlock } from '../wire/kv-event.ts';

/** Hashes one block's tokens: what the hash module offers (spec kv-router 1.2). */
export type HashBlock = (
  tokens: readonly number[],
  options: { readonly loraName: string | undefined; readonly salt: string | undefined; readonly mediaHashes: readonly bigint[] },
) => bigint;

/** What a conversion needs to know of the worker. */
export interface ConvertOptions {
  readonly blockSize: number;
  readonly hash: HashBlock;
  /** Token that stands for image content in prompts; runs of it are hashed as the image. */
  readonly imageTokenId?: number;
}

/** Turns an engine's store into a change of the index: hashes its tokens block by block (spec kv-router 14.4). */
export function convertStored(event: EngineStored, salt: string | undefined, options: ConvertOptions): KvChange {
  const { hashes, parent } = event;
  const distinct = new Set(hashes);
  // The real publisher turns a store that can't be one into a removal of nothing, which then goes no further.
  if (distinct.size < hashes.length || (parent !== undefined && distinct.has(parent))) return { type: 'removed', hashes: [] };
  const { blockSize } = options;
  const width = event.eagle ? blockSize + 1 : blockSize;
  const blocks: StoredBlock[] = [];
  if (event.blockSize === blockSize) {
    for (const [index, blockHash] of hashes.entries()) {
      const at = index * blockSize;
      if (at + width > event.tokens.length) break;
      blocks.push(convertBlock(event, { index, blockHash, tokens: event.tokens.slice(at, at + width), salt }, options));
    }
  }
  return { type: 'stored', parent, blocks };
}

function convertBlock(
  event: EngineStored,
  block: { index: number; blockHash: bigint; tokens: readonly number[]; salt: string | undefined },
  options: ConvertOptions,
): StoredBlock {
  const media = event.media?.[block.index] ?? mediaOfKeys(event.extraKeys?.[block.index]);
  const seeds = { loraName: event.loraName, salt: block.salt };
  const { imageTokenId } = options;
  const routed = imageTokenId !== undefined && media !== undefined && media.length > 0 ? withPads(block.tokens, media, imageTokenId) : undefined;
  const tokensHash =
    routed === undefined
      ? options.hash(block.tokens, { ...seeds, mediaHashes: media?.map(({ hash }) => hash) ?? [] })
      : options.hash(routed, { ...seeds, mediaHashes: [] });
  return { blockHash: block.blockHash, tokensHash, ...(media === undefined ? {} : { media }) };
}

/** A media id in canonical form: 64 hex digits, of which only the first 16 say something (spec kv-router 14.4). */
const mediaId = /^([0-9a-f]{16})0{48}$/i;

/** The media objects that an engine names among a block's extra keys, as text or as `[text, offset]`. */
function mediaOfKeys(keys: unknown): MediaObject[] | undefined {
  if (!Array.isArray(keys)) return undefined;
  const found = keys.flatMap((key) => {
    const name: unknown = Array.isArray(key) ? key[0] : key;
    const [, digits] = typeof name === 'string' ? (mediaId.exec(name) ?? []) : [];
    return digits === undefined ? [] : [{ hash: BigInt(`0x${digits}`), offsets: [] }];
  });
  return found.length === 0 ? undefined : found;
}

/** The routing token of an image (spec kv-router 1.5). */
const padOf = (hash: bigint): number => 1_000_000 + Number(hash & 0x3fff_ffffn);

/** Each run of image tokens becomes its image's routing token; undefined when the block has no image token. */
function withPads(tokens: readonly number[], media: readonly MediaObject[], imageTokenId: number): number[] | undefined {
  let run = -1;
  let inside = false;
  const out = tokens.map((token) => {
    if (token !== imageTokenId) {
      inside = false;
      return token;
    }
    if (!inside) run += 1;
    inside = true;
    return padOf((media[Math.min(run, media.length - 1)] as MediaObject).hash);
  });
  return run < 0 ? undefined : out;
}
