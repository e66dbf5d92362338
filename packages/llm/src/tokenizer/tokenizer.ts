/** Text to token ids and back. Implementations pass `tokenizer.contract.ts`. */
export interface Tokenizer {
  /** Texts of this many characters and more are encoded in a thread, so that one prompt does not hold up every stream. */
  readonly inlineLimit: number;
  /** Ids of a text. Adds no special tokens; special-token text inside becomes special tokens, NUL characters are left out (spec llm 4). */
  encode(text: string): number[];
  /** Text of ids, in one go. Ids outside the vocabulary have no text. */
  decode(ids: readonly number[], options: { skipSpecialTokens: boolean }): string;
  /** A decoder for one stream, which never emits half a character. */
  stream(options: StreamOptions): TokenStream;
  /** A token as the vocabulary spells it, such as `Ġworld`; undefined outside the vocabulary. Its text is `decode([id])`. */
  idToToken(id: number): string | undefined;
}

/** How one stream of ids is decoded. */
export interface StreamOptions {
  /** What the stream continues: its last tokens decide how the first ones of the stream are joined. */
  promptIds: readonly number[];
  skipSpecialTokens: boolean;
}

/** Incremental decoding of one stream of ids (spec llm 5.1). */
export interface TokenStream {
  /** The text that this id completes: often empty while a character is unfinished. */
  push(id: number): string;
  /** What is still held at the end: `\uFFFD` for an unfinished character, else empty. */
  end(): string;
}
