import type { Stage } from '@dynamo/runtime/internal';
import type { TokenChunk } from '@dynamo/kv-router';

/** Makes each of some tokens a chunk of its own, so that later stages tell it from text that is spelled like it. */
export const splitAtTokens =
  (tokens: ReadonlyMap<number, string>): Stage<TokenChunk, TokenChunk> =>
  () => ({
    push: (batch) => (batch.some((chunk) => splits(chunk, tokens)) ? batch.flatMap((chunk) => partsOf(chunk, tokens)) : batch),
  });

/** A chunk whose text the engine gave can't be split: nobody knows which of it is which token's. */
const splits = ({ tokenIds, text }: TokenChunk, tokens: ReadonlyMap<number, string>): boolean =>
  text === undefined && tokenIds.length > 1 && tokenIds.some((id) => tokens.has(id));

function partsOf(chunk: TokenChunk, tokens: ReadonlyMap<number, string>): readonly TokenChunk[] {
  if (!splits(chunk, tokens)) return [chunk];
  const { tokenIds, logprobs, topLogprobs, index } = chunk;
  const parts: TokenChunk[] = [];
  const take = (from: number, to: number): void => {
    if (from === to) return;
    parts.push({
      tokenIds: tokenIds.slice(from, to),
      ...(index === undefined ? {} : { index }),
      ...(logprobs === undefined ? {} : { logprobs: logprobs.slice(from, to) }),
      ...(topLogprobs === undefined ? {} : { topLogprobs: topLogprobs.slice(from, to) }),
    });
  };
  let from = 0;
  for (const [at, id] of tokenIds.entries()) {
    if (!tokens.has(id)) continue;
    take(from, at);
    take(at, at + 1);
    from = at + 1;
  }
  take(from, tokenIds.length);
  // What the chunk says of the answer, such as its end, is said with its last part.
  const last = parts.pop() as TokenChunk;
  return [...parts, { ...chunk, ...last }];
}
