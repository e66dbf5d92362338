import type { PromptHasher, PromptHashes } from '../hash/block-hash.ts';
import { refusal } from '../http/refusal.ts';
import type { PrefixIndex } from '../prefix/prefix-index.ts';
import { tierOverlaps } from '../routing/tier-overlaps.ts';
import type { PlaceRequest } from '../select/scheduler.ts';
import type { SelectBody, SelectPrompt } from '../wire/selection-bodies.ts';

/** One prompt on its way to a worker. */
export interface SelectionJob {
  readonly body: SelectBody;
  readonly prompt: PromptHashes;
  readonly isl: number;
  /** Name under which it is counted; absent when it is only asked for. */
  readonly reserve?: string | undefined;
}

/** The hashes and the length of a prompt. */
export function readPrompt(hasher: PromptHasher, blockSize: number, body: SelectPrompt): { prompt: PromptHashes; isl: number } {
  const { tokenIds, blockHashes, sequenceHashes, islTokens, loraName: lora, cacheSalt: salt, isEagle: eagle } = body;
  if (tokenIds !== undefined) {
    const prompt = hasher.hashes(tokenIds, { blockSize, lora, salt, eagle });
    return { prompt, isl: tokenIds.length };
  }
  const missing = blockHashes === undefined ? 'block_hashes' : sequenceHashes === undefined ? 'sequence_hashes' : 'isl_tokens';
  if (blockHashes === undefined || sequenceHashes === undefined || islTokens === undefined)
    throw refusal(400, `${missing} is required without token_ids`);
  if (blockHashes.length !== sequenceHashes.length)
    throw refusal(400, `block_hashes length ${blockHashes.length} must match sequence_hashes length ${sequenceHashes.length}`);
  return { prompt: { local: BigUint64Array.from(blockHashes), sequence: BigUint64Array.from(sequenceHashes) }, isl: islTokens };
}

/** What a decision is made from. */
export function placeRequest(index: PrefixIndex, { body, prompt, isl }: SelectionJob): PlaceRequest {
  const { routingConstraints: wanted, pinnedWorker: pinned, allowedWorkerIds: allowed, routerConfigOverride: override } = body;
  const { assumeKvReuse, trackPrefillTokens } = override ?? {};
  return {
    isl,
    sequence: new Uint32Array(prompt.sequence.buffer, prompt.sequence.byteOffset, prompt.sequence.length * 2),
    overlaps: tierOverlaps(index, prompt),
    constraints: {
      ...(wanted === undefined ? {} : { requiredTaints: wanted.requiredTaints, preferredTaints: Object.fromEntries(wanted.preferredTaints) }),
      ...(pinned === undefined ? {} : { pinned }),
      ...(allowed === undefined ? {} : { allowed }),
    },
    override: {
      ...(assumeKvReuse === undefined ? {} : { assumeKvReuse }),
      ...(trackPrefillTokens === undefined ? {} : { trackPrefillTokens }),
    },
  };
}
