/** What a byte-level tokenizer says of its ids. */
export interface ByteLevelVocabulary {
  /** One more than the largest id. */
  readonly size: number;
  /** A token as the vocabulary spells it: one letter a byte. */
  token(id: number): string | undefined;
  /** Tokens beside the vocabulary, which are spelled in plain text. */
  readonly added: ReadonlyMap<number, { readonly text: string; readonly special: boolean }>;
}

/**
 * Text and bytes of the tokens of a byte-level tokenizer, worked out once an id, on its first use.
 *
 * A token is `null` in `texts` when it can't be shown by itself: its bytes are no whole characters, or it ends in U+FFFD,
 * which the rule of spec llm 5.1 holds back.
 */
export interface TokenTable {
  texts(skipSpecialTokens: boolean): readonly (string | null | undefined)[];
  /** Bytes of an id, after which `texts` knows it; none outside the vocabulary. */
  bytes(id: number, skipSpecialTokens: boolean): Uint8Array;
}

/** Makes the table; it fills as it is used, so that loading a model doesn't wait for 150,000 tokens. */
export function tokenTable(vocabulary: ByteLevelVocabulary): TokenTable {
  const open = (): (string | null | undefined)[] => Array.from({ length: vocabulary.size });
  const kept = open();
  const skipped = open();
  const bytesOf = new Map<number, Uint8Array>();
  const learn = (id: number): Uint8Array => {
    const added = vocabulary.added.get(id);
    const token = added?.text ?? vocabulary.token(id);
    if (token === undefined) return nothing;
    const bytes = added === undefined ? bytesOfToken(token) : Buffer.from(token);
    const text = lossyText(bytes);
    const shown = text.endsWith(replacement) ? null : text;
    kept[id] = shown;
    skipped[id] = added?.special === true ? '' : shown;
    bytesOf.set(id, bytes);
    return bytes;
  };
  return {
    texts: (skip) => (skip ? skipped : kept),
    bytes(id, skip) {
      const bytes = bytesOf.get(id) ?? learn(id);
      return skip && vocabulary.added.get(id)?.special === true ? nothing : bytes;
    },
  };
}

/** U+FFFD, which stands for bytes that are no character. */
export const replacement = '\uFFFD';

/** The empty byte string. */
export const nothing: Uint8Array = new Uint8Array(0);

const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

/** Bytes as text, with U+FFFD for each maximal part that is no character. */
export const lossyText = (bytes: Uint8Array): string => (bytes.length === 0 ? '' : decoder.decode(bytes));

/** The letter that stands for each byte in a byte-level vocabulary: itself where it prints, else one from U+0100 on. */
export const byteOfLetter: ReadonlyMap<string, number> = (() => {
  const letters = new Map<string, number>();
  let next = 0x100;
  for (let byte = 0; byte < 0x100; byte++) {
    const prints = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte !== 0xad);
    letters.set(String.fromCharCode(prints ? byte : next++), byte);
  }
  return letters;
})();

/** A token with a letter outside the alphabet stands for its own UTF-8, as in the reference. */
function bytesOfToken(token: string): Uint8Array {
  const bytes = new Uint8Array(token.length);
  for (let at = 0; at < token.length; at++) {
    const byte = byteOfLetter.get(token.charAt(at));
    if (byte === undefined) return Buffer.from(token);
    bytes[at] = byte;
  }
  return bytes;
}
