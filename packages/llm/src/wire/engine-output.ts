import type { TokenChunk } from '../request.ts';

/** Writes an engine's chunk with its wire names; only what is set (spec llm 2.2). */
export function encodeEngineOutput(chunk: TokenChunk): Record<string, unknown> {
  const usage = chunk.usage;
  return {
    token_ids: chunk.tokenIds,
    text: chunk.text,
    cum_log_probs: chunk.cumulativeLogprob,
    log_probs: chunk.logprobs,
    top_logprobs: chunk.topLogprobs?.map((position) => position.map(({ tokenId, ...rest }) => ({ ...rest, token_id: tokenId }))),
    finish_reason: chunk.finishReason,
    stop_reason: chunk.stopReason,
    index: chunk.index,
    completion_usage:
      usage === undefined
        ? undefined
        : {
            prompt_tokens: usage.promptTokens,
            completion_tokens: usage.completionTokens,
            total_tokens: usage.totalTokens,
            prompt_tokens_details: usage.promptTokensDetails,
          },
    ...chunk.extra,
  };
}
