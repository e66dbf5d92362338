import { byteLevelBpe } from './byte-level-bpe/index.ts';
import { libraryTokenizer } from './hf.ts';
import type { Tokenizer } from './tokenizer.ts';

/**
 * Makes a tokenizer from the parsed `tokenizer.json` and `tokenizer_config.json` of a model folder: our own for the
 * byte-level families that it knows, the general library for every other.
 *
 * @throws DynamoError `invalid_argument` when the first is no tokenizer that can be read.
 */
export const loadTokenizer = (tokenizerJson: unknown, tokenizerConfigJson: unknown): Tokenizer =>
  byteLevelBpe(tokenizerJson) ?? libraryTokenizer(tokenizerJson, tokenizerConfigJson);
