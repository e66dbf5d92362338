import { decodeJson, encodeJson } from './json.ts';
import { decodeMsgpack, encodeMsgpack } from './msgpack.ts';

/** The two payload encodings of the wire (spec runtime-wire 5). */
export type CodecName = 'json' | 'msgpack';

/** Turns values into payload bytes and back. */
export interface Codec {
  encode(value: unknown): Uint8Array;
  decode(bytes: Uint8Array): unknown;
}

/** Both encodings by their wire names. */
export const codecs: Readonly<Record<CodecName, Codec>> = {
  json: { encode: encodeJson, decode: decodeJson },
  msgpack: { encode: encodeMsgpack, decode: decodeMsgpack },
};
