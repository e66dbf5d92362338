import { byteLevelStream } from '../detokenizer.ts';
import { tokenTable } from '../token-table.ts';
import type { Tokenizer } from '../tokenizer.ts';
import { referenceNfc, unicodeClasses } from './classes.ts';
import { ByteLevelEncoder } from './encoder.ts';
import { scannerOf } from './scan.ts';
import { SegmentCache } from './segment-cache.ts';
import { slack } from './word-table.ts';
import { type BpeModel, buildVocabulary, isId } from './vocabulary.ts';

interface AddedToken {
  readonly id: number;
  readonly content: string;
  readonly special?: boolean;
  readonly normalized?: boolean;
  readonly lstrip?: boolean;
  readonly rstrip?: boolean;
  readonly single_word?: boolean;
}

/** The parts of a `tokenizer.json` that say whether this encoder can stand for it. */
interface TokenizerJson {
  readonly normalizer?: { readonly type?: string } | null;
  readonly pre_tokenizer?: { readonly type?: string; readonly pretokenizers?: readonly PreTokenizer[] } | null;
  readonly decoder?: { readonly type?: string } | null;
  readonly added_tokens?: readonly AddedToken[];
  readonly model?: BpeModel & {
    readonly type?: string;
    readonly dropout?: number | null;
    readonly continuing_subword_prefix?: string | null;
    readonly end_of_word_suffix?: string | null;
    readonly ignore_merges?: boolean;
  };
}

interface PreTokenizer {
  readonly type?: string;
  readonly pattern?: { readonly Regex?: string };
  readonly behavior?: string;
  readonly invert?: boolean;
  readonly add_prefix_space?: boolean;
  readonly use_regex?: boolean;
}

/** How many bytes of encoded texts one tokenizer remembers. */
const segmentCacheBytes = 16 * 1024 * 1024;

/** A shorter text holds the event loop for less than about 20 ms. */
const inlineLimit = 256 * 1024;

/** Texts up to this many bytes are encoded in a buffer that is kept. */
const keptBuffer = 256 * 1024;

/**
 * A byte-level BPE tokenizer of the Qwen, Llama 3 and gpt-oss families, exact to the reference's ids.
 *
 * Undefined for every other `tokenizer.json`: those are read by the general library.
 */
export function byteLevelBpe(tokenizerJson: unknown): Tokenizer | undefined {
  const json = (tokenizerJson ?? {}) as TokenizerJson;
  const { model } = json;
  const pattern = splitPattern(json);
  if (pattern === undefined || model?.type !== 'BPE' || !plain(model) || json.decoder?.type !== 'ByteLevel') return undefined;
  const nfc = json.normalizer?.type === 'NFC';
  if (!nfc && json.normalizer !== null && json.normalizer !== undefined) return undefined;
  const added = json.added_tokens ?? [];
  if (added.some(({ id, content }) => !isId(id) || typeof content !== 'string')) return undefined;
  if (added.some((token) => token.normalized === true || token.lstrip === true || token.rstrip === true || token.single_word === true))
    return undefined;
  const wordEnd = scannerOf(pattern, unicodeClasses());
  const vocabulary = wordEnd === undefined ? undefined : buildVocabulary(model);
  if (wordEnd === undefined || vocabulary === undefined) return undefined;
  const encoder = new ByteLevelEncoder({ vocabulary, wordEnd, ignoreMerges: model.ignore_merges === true });
  return { inlineLimit, encode: encodeText({ encoder, added, nfc }), ...decoding(model, added) };
}

const plain = (model: NonNullable<TokenizerJson['model']>): boolean =>
  !model.dropout && !model.continuing_subword_prefix && !model.end_of_word_suffix && typeof model.vocab === 'object' && Array.isArray(model.merges);

/** The pattern of a pre-tokenizer that splits by it and then maps bytes to letters, and does nothing else. */
function splitPattern({ pre_tokenizer: pre }: TokenizerJson): string | undefined {
  const [split, bytes, ...more] = pre?.type === 'Sequence' ? (pre.pretokenizers ?? []) : [];
  if (more.length > 0 || split?.type !== 'Split' || split.behavior !== 'Isolated' || split.invert === true) return undefined;
  if (bytes?.type !== 'ByteLevel' || bytes.add_prefix_space !== false || bytes.use_regex !== false) return undefined;
  return split.pattern?.Regex;
}

function encodeText(parts: { encoder: ByteLevelEncoder; added: readonly AddedToken[]; nfc: boolean }): Tokenizer['encode'] {
  const idOf = new Map(parts.added.map(({ content, id }) => [content, id]));
  const cache = new SegmentCache(segmentCacheBytes);
  const utf8 = new TextEncoder();
  const kept = { bytes: new Uint8Array(4_096), ids: new Uint32Array(4_096) };
  const encodeSpan = (span: string, into: number[]): void => {
    const text = parts.nfc ? referenceNfc(span) : span;
    const room = text.length * 3 + slack;
    const bytes = room <= kept.bytes.length ? kept.bytes : grown(room, kept);
    const { written } = utf8.encodeInto(text, bytes);
    let ids = cache.get(bytes, written);
    if (ids === undefined) {
      const out = written <= kept.ids.length ? kept.ids : new Uint32Array(written);
      ids = out.subarray(0, parts.encoder.encode(bytes, written, out));
      cache.put(bytes, written, ids);
    }
    for (let index = 0; index < ids.length; index++) into.push(ids[index] as number);
  };
  // Longest first: where several begin at one place, the reference takes the longest.
  const contents = [...idOf.keys()].filter((content) => content !== '').toSorted((a, b) => b.length - a.length);
  const pattern =
    contents.length === 0
      ? undefined
      : new RegExp(contents.map((content) => content.replaceAll(/[\\^$.*+?()[\]{}|/-]/g, String.raw`\$&`)).join('|'), 'g');
  return (text) => {
    const clean = text.includes('\0') ? text.replaceAll('\0', '') : text;
    const ids: number[] = [];
    let from = 0;
    if (pattern !== undefined) {
      for (const match of clean.matchAll(pattern)) {
        if (match.index > from) encodeSpan(clean.slice(from, match.index), ids);
        ids.push(idOf.get(match[0]) as number);
        from = match.index + match[0].length;
      }
    }
    if (from < clean.length) encodeSpan(from === 0 ? clean : clean.slice(from), ids);
    return ids;
  };
}

/** A larger buffer, kept for the next text unless it is very large. */
function grown(room: number, kept: { bytes: Uint8Array<ArrayBuffer>; ids: Uint32Array }): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(2 ** Math.ceil(Math.log2(room)));
  if (bytes.length <= keptBuffer) {
    kept.bytes = bytes;
    kept.ids = new Uint32Array(bytes.length);
  }
  return bytes;
}

function decoding(model: BpeModel, added: readonly AddedToken[]): Omit<Tokenizer, 'encode' | 'inlineLimit'> {
  const spelled: string[] = [];
  for (const [token, id] of Object.entries(model.vocab)) spelled[id] = token;
  for (const { id, content } of added) spelled[id] = content;
  const table = tokenTable({
    size: spelled.length,
    token: (id) => spelled[id],
    added: new Map(added.map(({ id, content, special }) => [id, { text: content, special: special === true }])),
  });
  const stream: Tokenizer['stream'] = (options) => byteLevelStream(table, options);
  return {
    idToToken: (id) => spelled[id],
    stream,
    decode(ids, { skipSpecialTokens }) {
      const whole = stream({ promptIds: [], skipSpecialTokens });
      let text = '';
      for (const id of ids) text += whole.push(id);
      return text + whole.end();
    },
  };
}
