import { lossyText, nothing, replacement, type TokenTable } from './token-table.ts';
import type { StreamOptions, TokenStream } from './tokenizer.ts';

/** How many of the prompt's last tokens a stream looks back on. */
const promptWindow = 5;

/**
 * Decodes a byte-level stream from the token table: a look-up for a token of whole characters.
 *
 * Other tokens wait until the bytes that came together are whole characters: text is shown when it doesn't end in U+FFFD
 * (spec llm 5.1), all that waited at once, which is what `prefixStream` shows on the same ids.
 */
export function byteLevelStream(table: TokenTable, { promptIds, skipSpecialTokens }: StreamOptions): TokenStream {
  const texts = table.texts(skipSpecialTokens);
  // Decoded text that waits, then at most three bytes that begin a character.
  let held = '';
  let tail = unfinished(Buffer.concat(promptIds.slice(-promptWindow).map((id) => table.bytes(id, skipSpecialTokens))));
  let shown = lossyText(tail);
  let waiting = tail.length > 0;

  const release = (): string => {
    const text = held.slice(commonLength(shown, held));
    held = shown = '';
    waiting = false;
    return text;
  };

  const pushBytes = (id: number): string => {
    const bytes = table.bytes(id, skipSpecialTokens);
    if (bytes.length === 0) return '';
    const all = tail.length === 0 ? bytes : Buffer.concat([tail, bytes]);
    tail = unfinished(all);
    held += lossyText(tail.length === 0 ? all : all.subarray(0, all.length - tail.length));
    if (tail.length === 0 && !held.endsWith(replacement)) return release();
    waiting = true;
    return '';
  };

  return {
    push(id) {
      if (!waiting) {
        const text = texts[id];
        if (typeof text === 'string') return text;
      }
      return pushBytes(id);
    },
    end() {
      held += lossyText(tail);
      tail = nothing;
      return release();
    },
  };
}

/**
 * Decodes any stream with a whole-text decoder: what the new ids add to the text of those before them.
 *
 * Costs two decodings a token; only for tokenizers whose tokens have no bytes of their own.
 */
export function prefixStream(decode: (ids: readonly number[]) => string, promptIds: readonly number[]): TokenStream {
  let prefix: readonly number[] = promptIds.slice(-promptWindow);
  let before = decode(prefix);
  let fresh: number[] = [];
  const added = (): string => {
    const after = decode([...prefix, ...fresh]);
    return after.slice(commonLength(before, after));
  };
  const move = (): void => {
    prefix = fresh;
    before = decode(prefix);
    fresh = [];
  };
  return {
    push(id) {
      fresh.push(id);
      const text = added();
      if (text === '' || text.endsWith(replacement)) return '';
      move();
      return text;
    },
    end() {
      const text = added();
      move();
      return text;
    },
  };
}

/** The bytes at the end that begin a character without ending it. */
function unfinished(bytes: Uint8Array): Uint8Array {
  for (let back = 1; back <= 3 && back <= bytes.length; back++) {
    const byte = bytes[bytes.length - back] as number;
    if ((byte & 0xc0) === 0x80) continue;
    return byte >= leadOf(back) ? Uint8Array.from(bytes.subarray(bytes.length - back)) : nothing;
  }
  return nothing;
}

/** Smallest first byte of a character that is longer than so many bytes. */
const leadOf = (length: number): number => (length === 1 ? 0xc2 : length === 2 ? 0xe0 : 0xf0);

/** How far two texts agree: what a stream has shown already, unless later bytes have changed it. */
function commonLength(a: string, b: string): number {
  if (b.startsWith(a)) return a.length;
  let length = 0;
  while (length < a.length && a.charCodeAt(length) === b.charCodeAt(length)) length++;
  return length;
}
