/** What an item of an answer says to the router: how many tokens it brings, and how much of the prompt the worker had. */
export interface ChunkFacts {
  readonly tokens: number;
  readonly cachedTokens: number | undefined;
}

/** Reads an item, whether it was read straight from the wire or not. */
export function chunkFacts(item: unknown): ChunkFacts {
  const { tokenIds, token_ids: raw, usage, completion_usage: rawUsage } = item as Readonly<Record<string, unknown>>;
  const ids = tokenIds ?? raw;
  const details = member(usage, 'promptTokensDetails') ?? member(rawUsage, 'prompt_tokens_details');
  const cached = member(details, 'cached_tokens');
  return { tokens: Array.isArray(ids) ? ids.length : 0, cachedTokens: typeof cached === 'number' ? cached : undefined };
}

const member = (value: unknown, name: string): unknown =>
  typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>)[name] : undefined;
