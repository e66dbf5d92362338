import type { FinishReason, TokenChunk } from '../request.ts';
import { decodeEngineOutput, defaultOutputType, finishWords } from './engine-output.ts';

/**
 * Reads the frame of a few tokens straight from MessagePack; undefined for every other frame, which the general decoder reads.
 *
 * Its shape: `{ data: { data: { token_ids: [up to 15], finish_reason?: word, index?: small, output_type?: "text", …nulls } },
 * complete_final: false }` (spec runtime-wire 6, llm 2.2). The ids are copied, so that nothing holds on to the read buffer.
 */
export function readTokenFrame(bytes: Uint8Array, start: number, end: number): TokenChunk | undefined {
  // The smallest such frame is longer than its opening and closing; a byte that is read beyond `end` is never taken for good,
  // as the position must be right there at last.
  if (end > bytes.length || !matches(bytes, start, opening)) return undefined;
  let at = start + opening.length;
  const map = bytes[at++] as number;
  if ((map & 0xf0) !== 0x80) return undefined;
  let ids: number[] | undefined;
  let finish: FinishReason | undefined;
  let index: number | undefined;
  for (let members = map & 0x0f; members > 0; members--) {
    const tag = bytes[at++] as number;
    if ((tag & 0xe0) !== 0xa0) return undefined;
    const key = at;
    const length = tag & 0x1f;
    at += length;
    const value = bytes[at++] as number;
    // No key comes twice; if one does, it isn't for here to say which counts.
    if (length === 9 && matches(bytes, key, tokenIdsKey)) {
      const count = value & 0x0f;
      if ((value & 0xf0) !== 0x90 || ids !== undefined) return undefined;
      ids = [];
      for (let left = count; left > 0; left--) {
        const head = bytes[at++] as number;
        if (head < 0x80) ids.push(head);
        else if (head === 0xcd) ids.push(((bytes[at++] as number) << 8) | (bytes[at++] as number));
        else if (head === 0xce) {
          ids.push(
            ((bytes[at] as number) * 0x100 + (bytes[at + 1] as number)) * 0x10000 + ((bytes[at + 2] as number) << 8) + (bytes[at + 3] as number),
          );
          at += 4;
        } else if (head === 0xcc) ids.push(bytes[at++] as number);
        else return undefined;
      }
    } else if (value === 0xc0) {
      if ((finish !== undefined && length === 13) || (index !== undefined && length === 5)) return undefined;
    } else if (length === 13 && finish === undefined && matches(bytes, key, finishKey)) {
      finish = wordAt(bytes, at, value);
      if (finish === undefined) return undefined;
      at += value & 0x1f;
    } else if (length === 5 && index === undefined && value < 0x80 && matches(bytes, key, indexKey)) {
      index = value;
    } else if (length === 11 && value === outputType.length + 0xa0 && matches(bytes, key, outputTypeKey) && matches(bytes, at, outputType)) {
      at += outputType.length;
    } else return undefined;
  }
  if (ids === undefined || at + closing.length !== end || !matches(bytes, at, closing)) return undefined;
  const frame = new TokenFrame(ids);
  if (finish !== undefined) frame.finishReason = finish;
  if (index !== undefined) frame.index = index;
  return frame;
}

/** An item of a response as a chunk: what `readTokenFrame` made as it is, a wire map decoded. */
export function toTokenChunk(item: unknown): TokenChunk {
  return item instanceof TokenFrame ? item : decodeEngineOutput(item);
}

/** Marks a chunk as one that needs no decoding any more. */
export const decodedChunk = (chunk: TokenChunk): TokenChunk => Object.assign(new TokenFrame([]), chunk);

/** A chunk that needs no decoding any more. */
class TokenFrame implements TokenChunk {
  readonly tokenIds: number[];
  declare finishReason?: FinishReason;
  declare index?: number;
  constructor(tokenIds: number[]) {
    this.tokenIds = tokenIds;
  }
}

/** A two-member map whose first member is `data`, a one-member map whose member is `data`. */
const opening = Buffer.from('\x82\xa4data\x81\xa4data', 'latin1');
/** The outer map's second member. */
const closing = Buffer.from('\xaecomplete_final\xc2', 'latin1');
const tokenIdsKey = Buffer.from('token_ids');
const finishKey = Buffer.from('finish_reason');
const indexKey = Buffer.from('index');
const outputTypeKey = Buffer.from('output_type');
const outputType = Buffer.from(defaultOutputType);
const words = finishWords.map((word) => ({ word, bytes: Buffer.from(word) }));

function matches(bytes: Uint8Array, at: number, expected: Uint8Array): boolean {
  for (let offset = 0; offset < expected.length; offset++) if (bytes[at + offset] !== expected[offset]) return false;
  return true;
}

function wordAt(bytes: Uint8Array, at: number, tag: number): FinishReason | undefined {
  for (const { word, bytes: expected } of words) if (tag === 0xa0 + expected.length && matches(bytes, at, expected)) return word;
  return undefined;
}
