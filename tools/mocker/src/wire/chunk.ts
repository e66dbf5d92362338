/** One item of an answer under its wire names, in the real worker's order (spec mocker 5). */
export type WireChunk = Readonly<Record<string, unknown>>;

/** What every chunk says. */
const chunk = (tokenIds: readonly number[], finishReason: unknown, more: WireChunk = {}): WireChunk => ({
  token_ids: tokenIds,
  tokens: null,
  text: null,
  output_type: 'text',
  cum_log_probs: null,
  log_probs: null,
  top_logprobs: null,
  finish_reason: finishReason,
  index: null,
  ...more,
});

/** Token counts, with how much of the prompt came from the cache. */
export const usage = (counts: { readonly prompt: number; readonly completion: number; readonly cached: number }): WireChunk => ({
  completion_usage: {
    prompt_tokens: counts.prompt,
    completion_tokens: counts.completion,
    total_tokens: counts.prompt + counts.completion,
    prompt_tokens_details: { audio_tokens: null, cached_tokens: counts.cached },
  },
});

/** One token. */
export const tokenChunk = (tokenId: number, more?: WireChunk): WireChunk => chunk([tokenId], null, more);

/** The end of an answer. */
export const lastChunk = (counts: Parameters<typeof usage>[0]): WireChunk => chunk([], 'length', usage(counts));

/** The end of a request that no worker of this kind could ever answer. */
export const rejectedChunk = (): WireChunk => chunk([], { error: 'request rejected: request exceeds worker admission limits' });

/** What a prefill worker hands on with its token: there is no cache to fetch. */
export const handedOn: WireChunk = { disaggregated_params: 'dummy' };
