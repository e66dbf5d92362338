interface Config {
  readonly vocab_size?: unknown;
  readonly text_config?: { readonly vocab_size?: unknown } | null;
}

/** Size of the vocabulary in a model's config.json: its own, or that of the language part of a model that sees or hears. */
export function vocabularyOf(config: unknown): number | undefined {
  const { vocab_size: own, text_config: language } = (config ?? {}) as Config;
  return [own, language?.vocab_size].find((size): size is number => Number.isInteger(size));
}

interface TokenizerJson {
  readonly model?: { readonly vocab?: Readonly<Record<string, number>> | readonly unknown[] };
  readonly added_tokens?: readonly { readonly id?: number; readonly content?: string }[];
}

/** How many tokens a tokenizer.json has: those of its model, and the added ones that are not among them. */
export function countTokens(json: unknown): number {
  const { model, added_tokens: added = [] } = json as TokenizerJson;
  const { vocab = {} } = model ?? {};
  if (!Array.isArray(vocab))
    return Object.keys(vocab).length + added.filter(({ content }) => content !== undefined && !Object.hasOwn(vocab, content)).length;
  const known = new Set((vocab as readonly (readonly [string, number])[]).map(([token]) => token));
  return known.size + added.filter(({ content }) => content !== undefined && !known.has(content)).length;
}
