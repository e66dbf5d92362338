/** Ends the answer to a replay request: the sequence of no message, with an empty batch (spec kv-router 14.5). */
const endMarker = 0xffff_ffff_ffff_ffffn;

/** Asks an engine's replay socket for all messages from `start` on: an empty delimiter, then the number. */
export function encodeReplayRequest(start: bigint): Uint8Array[] {
  const number = Buffer.alloc(8);
  number.writeBigUInt64BE(start);
  return [new Uint8Array(0), number];
}

/** Reads one message of an answer: as frames of a live message, `end`, or undefined for what is neither. */
export function decodeReplayAnswer(frames: readonly Uint8Array[]): readonly Uint8Array[] | 'end' | undefined {
  const [delimiter, topic, sequence, payload] = frames;
  if (frames.length !== 4 || delimiter?.length !== 0 || sequence?.length !== 8 || topic === undefined || payload === undefined) return undefined;
  const number = Buffer.from(sequence.buffer, sequence.byteOffset, 8).readBigUInt64BE();
  return number === endMarker ? 'end' : [topic, sequence, payload];
}
