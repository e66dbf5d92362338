import { DynamoError } from '@dynamo/runtime';
import { Tokenizer as HfTokenizer } from '@huggingface/tokenizers';
import { byteLevelStream, prefixStream } from './detokenizer.ts';
import { type TokenTable, tokenTable } from './token-table.ts';
import type { StreamOptions, Tokenizer } from './tokenizer.ts';

/**
 * Makes a tokenizer of any kind from the parsed `tokenizer.json` and `tokenizer_config.json` of a model folder.
 *
 * @throws DynamoError `invalid_argument` when the first is no tokenizer that can be read.
 */
export function libraryTokenizer(tokenizerJson: unknown, tokenizerConfigJson: unknown): Tokenizer {
  const library = open(tokenizerJson, tokenizerConfigJson);
  const encode = (text: string): number[] => {
    const { ids } = library.encode(text.includes('\0') ? text.replaceAll('\0', '') : text, { add_special_tokens: false });
    // A model without an unknown token has no id for what it can't spell.
    return ids.includes(undefined as never) ? ids.filter((id: number | undefined) => id !== undefined) : ids;
  };
  const idToToken = (id: number): string | undefined => library.id_to_token(id);
  if (isByteLevel(tokenizerJson)) {
    const table = tableOf(library);
    const stream = (options: StreamOptions) => byteLevelStream(table, options);
    return {
      inlineLimit,
      encode,
      idToToken,
      stream,
      decode(ids, { skipSpecialTokens }) {
        const whole = stream({ promptIds: [], skipSpecialTokens });
        let text = '';
        for (const id of ids) text += whole.push(id);
        return text + whole.end();
      },
    };
  }
  const decode: Tokenizer['decode'] = (ids, { skipSpecialTokens }) => {
    const known = ids.filter((id) => idToToken(id) !== undefined);
    return known.length === 0 ? '' : library.decode(known, { skip_special_tokens: skipSpecialTokens, clean_up_tokenization_spaces: false });
  };
  return {
    inlineLimit,
    encode,
    idToToken,
    decode,
    stream: ({ promptIds, skipSpecialTokens }) => prefixStream((ids) => decode(ids, { skipSpecialTokens }), promptIds),
  };
}

/** A shorter text holds the event loop for less than about 30 ms. */
const inlineLimit = 32 * 1024;

function open(tokenizerJson: unknown, tokenizerConfigJson: unknown): HfTokenizer {
  try {
    // Which tokens are special is said by tokenizer.json alone, as in the reference.
    return new HfTokenizer(tokenizerJson as object, { ...(tokenizerConfigJson as object | null | undefined), additional_special_tokens: null });
  } catch (cause) {
    throw new DynamoError('invalid_argument', `the tokenizer can't be read: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}

const tableOf = (library: HfTokenizer): TokenTable =>
  tokenTable({
    size: library.model.vocab.length,
    token: (id) => library.id_to_token(id),
    added: new Map([...library.get_added_tokens_decoder()].map(([id, { content, special }]) => [id, { text: content, special }])),
  });

/** True where every token stands for bytes and text is nothing but these bytes. */
function isByteLevel(tokenizerJson: unknown): boolean {
  const { decoder, model } = tokenizerJson as {
    decoder?: { type?: string; decoders?: readonly { type?: string }[] } | null;
    model?: { end_of_word_suffix?: string | null };
  };
  const steps = decoder?.type === 'Sequence' ? (decoder.decoders ?? []) : [decoder];
  return steps.length === 1 && steps[0]?.type === 'ByteLevel' && !model?.end_of_word_suffix;
}
