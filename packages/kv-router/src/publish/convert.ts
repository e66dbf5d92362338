import { padValue, type PromptHasher } from '../hash/block-hash.ts';
import type { EngineStored } from '../wire/engine-batch.ts';
import type { KvChange, MediaObject, StoredBlock } from '../wire/kv-event.ts';

/** What a conversion needs to know of the worker. */
export interface ConvertOptions {
  readonly blockSize: number;
  readonly hasher: PromptHasher;
  /** Token that stands for image content in prompts; runs of it are hashed as the image. */
  readonly imageTokenId?: number;
}

/** Turns an engine's store into a change of the index: hashes its tokens block by block, in one call (spec kv-router 14.4). */
export function convertStored(event: EngineStored, salt: string | undefined, options: ConvertOptions): KvChange {
  const { hashes, parent, tokens } = event;
  const distinct = new Set(hashes);
  // The real publisher turns a store that can't be one into a removal of nothing, which then goes no further.
  if (distinct.size < hashes.length || (parent !== undefined && distinct.has(parent))) return { type: 'removed', hashes: [] };
  const { blockSize, hasher } = options;
  const extra = event.eagle ? 1 : 0;
  const whole = event.blockSize === blockSize ? Math.max(0, Math.floor((tokens.length - extra) / blockSize)) : 0;
  const count = Math.min(hashes.length, whole);
  if (count === 0) return { type: 'stored', parent, blocks: [] };
  const media = Array.from({ length: count }, (_, index) => event.media?.[index] ?? mediaOfKeys(event.extraKeys?.[index]));
  const routed = routedTokens(tokens.slice(0, count * blockSize + extra), media, options);
  hasher.hash(routed.tokens, { blockSize, lora: event.loraName, salt, eagle: event.eagle, media: routed.media });
  const local = hasher.local(count);
  const blocks = Array.from({ length: count }, (_, index): StoredBlock => {
    const objects = media[index];
    return { blockHash: hashes[index] as bigint, tokensHash: local[index] as bigint, ...(objects === undefined ? {} : { media: objects }) };
  });
  return { type: 'stored', parent, blocks };
}

/** The tokens as they are hashed, and which media are mixed into the blocks whose tokens do not stand for them. */
function routedTokens(
  tokens: readonly number[],
  media: readonly (readonly MediaObject[] | undefined)[],
  { blockSize, imageTokenId }: ConvertOptions,
): { tokens: readonly number[]; media?: (readonly bigint[] | undefined)[] } {
  if (media.every((objects) => objects === undefined)) return { tokens };
  let out = tokens;
  const mixed = media.map((objects, index) => {
    if (objects === undefined || objects.length === 0) return undefined;
    const from = index * blockSize;
    const padded = imageTokenId === undefined ? undefined : withPads(tokens.slice(from, from + blockSize), objects, imageTokenId);
    if (padded === undefined) return objects.map(({ hash }) => hash);
    out = [...out.slice(0, from), ...padded, ...out.slice(from + blockSize)];
    return undefined;
  });
  return { tokens: out, media: mixed };
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
    return padValue((media[Math.min(run, media.length - 1)] as MediaObject).hash);
  });
  return run < 0 ? undefined : out;
}
