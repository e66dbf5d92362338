import { DynamoError } from '../error.ts';
import { decodeEnvelope, type EventBody, type EventEnvelope, envelopeWriter } from './event-envelope.ts';

/** Version and length in front of the envelope in the last frame (spec runtime-wire 13.2). */
const headerBytes = 5;
const frameVersion = 1;

/**
 * Makes the writer of one publisher's ZMQ messages: routing text, publisher id, sequence, envelope.
 *
 * The first three frames are the same buffers at every call: send before the next one is written.
 */
export function eventFramesWriter(options: { routing: string; publisher: bigint; topic: string }): (body: EventBody) => Buffer[] {
  const write = envelopeWriter(options.publisher, options.topic, headerBytes);
  const id = Buffer.allocUnsafe(8);
  id.writeBigUInt64BE(options.publisher);
  const sequence = Buffer.alloc(8);
  const routing = Buffer.from(options.routing);
  return (body) => {
    sequence.writeUInt32BE(Math.floor(body.sequence / 0x1_0000_0000), 0);
    sequence.writeUInt32BE(body.sequence >>> 0, 4);
    const envelope = write(body);
    envelope[0] = frameVersion;
    envelope.writeUInt32BE(envelope.length - headerBytes, 1);
    return [routing, id, sequence, envelope];
  };
}

/**
 * Reads a ZMQ message.
 *
 * @throws DynamoError `backend_protocol` when it is no event, or when its frames and its envelope tell different things.
 */
export function decodeEventFrames(frames: readonly Buffer[]): EventEnvelope {
  const [, id, sequence, last] = frames;
  if (frames.length !== 4 || id === undefined || sequence === undefined || last === undefined) throw broken(`it has ${frames.length} frames`);
  if (id.length !== 8 || sequence.length !== 8) throw broken('id or sequence is not of 8 bytes');
  if (last.length < headerBytes) throw broken('the last frame is too short');
  if (last[0] !== frameVersion) throw broken(`version ${last[0]} is not known`);
  if (last.readUInt32BE(1) !== last.length - headerBytes) throw broken('the length is not that of the envelope');
  const envelope = decodeEnvelope(last.subarray(headerBytes));
  const counted = sequence.readUInt32BE(0) * 0x1_0000_0000 + sequence.readUInt32BE(4);
  if (id.readBigUInt64BE(0) !== envelope.publisher || counted !== envelope.sequence) throw broken('frames and envelope tell different things');
  return envelope;
}

/** Whom a message says it is from, also when it can't be read. */
export const namedPublisher = (frames: readonly Buffer[]): string => frames[1]?.subarray(0, 8).toString('hex') ?? '';

const broken = (what: string): DynamoError => new DynamoError('backend_protocol', `ZMQ event: ${what}`);
