import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { DynamoError } from '../error.ts';
import { garbledBytes } from '../testing/garbled.ts';
import { decodeFrame, encodeErrorItem, encodeItem, finalFrame } from './annotated.ts';
import { codecs } from './codec.ts';
import { decodeControl, decodeHandshake, decodePrologue, encodeControl, encodeHandshake, encodePrologue, sentinel, words } from './control.ts';
import { decodeInstance, encodeInstance } from './discovery-record.ts';
import { decodeError } from './error-envelope.ts';
import { encodeAck, spanRequestFrame } from './request-frame.ts';
import { decodeTwoPart, encodeTwoPart, spanTwoPart } from './two-part.ts';

const file = (name: string): any => JSON.parse(readFileSync(new URL(`../../../../vectors/runtime/${name}`, import.meta.url), 'utf8'));
const hex = (text: string): Buffer => Buffer.from(text, 'hex');
const limit = 32 * 1024 * 1024;

const requestFrames: Buffer[] = file('tcp-frontend-to-mocker.json').frames_hex.map(hex);
const answers: Buffer[] = file('tcp-mocker-responses.json').streams.map((segments: string[]) =>
  hex(segments.filter((segment) => /^[0-9a-f]+$/.test(segment)).join('')),
);
const control = encodeControl({
  id: 'r',
  codec: 'msgpack',
  metadata: { a: 'b' },
  response: { address: '127.0.0.1:1', subject: 's' },
  input: { address: '127.0.0.1:1', subject: 'i' },
});
const record = encodeInstance({
  id: 11684015588889706191n,
  namespace: 'demo',
  component: 'backend',
  endpoint: 'generate',
  transport: { tcp: '127.0.0.1:1/path' },
  codec: 'msgpack',
}).value;
const opening = Buffer.concat([encodeTwoPart({ header: encodeHandshake('s') }), encodeTwoPart({ header: encodePrologue(null) })]);
const payload = { token_ids: [1, 2, 3], id: 11684015588889706191n, text: 'é😀', nested: { list: [null, true, 1.5] } };

/** Reads as many frames as there are, and everything in them, as the planes do. */
function readRequests(bytes: Buffer): void {
  for (let at = 0; ;) {
    const span = spanRequestFrame(bytes, at, limit);
    if (span === undefined) return;
    const { header, body } = decodeTwoPart(span.payload);
    codecs[decodeControl(header).codec].decode(body);
    at = span.end;
  }
}

function readAnswer(bytes: Buffer): void {
  for (let at = 0, index = 0; ; index++) {
    const span = spanTwoPart(bytes, at, limit);
    if (span === undefined) return;
    const header = bytes.subarray(span.headerStart, span.bodyStart);
    if (header.length === 0) decodeFrame(bytes.subarray(span.bodyStart, span.end), 'msgpack');
    else if (index === 0) decodeHandshake(header);
    else if (index === 1) decodePrologue(header);
    at = span.end;
  }
}

/** Every decoder with a good sample; each must take or refuse anything, by a typed error and nothing else. */
const decoders: readonly (readonly [name: string, sample: Uint8Array, decode: (bytes: Buffer) => unknown])[] = [
  ['request frame', requestFrames[0]!, readRequests],
  ['two request frames', Buffer.concat(requestFrames), readRequests],
  ['whole answer', answers[0]!, readAnswer],
  ['acknowledgement', encodeAck('Server overloaded: worker at capacity'), (bytes) => bytes.length >= 4 && bytes.readUInt32BE(0)],
  ['two-part message', encodeTwoPart({ header: control, body: codecs.msgpack.encode(payload) }), decodeTwoPart],
  ['handshake', encodeHandshake('6b8f'), decodeHandshake],
  ['prologue', encodePrologue('no'), decodePrologue],
  ['item', encodeItem(payload, 'msgpack'), (bytes) => decodeFrame(bytes, 'msgpack')],
  ['JSON item', encodeItem(payload, 'json'), (bytes) => decodeFrame(bytes, 'json')],
  ['error item', encodeErrorItem(new DynamoError('engine_shutdown', 'gone'), 'msgpack'), (bytes) => decodeFrame(bytes, 'msgpack')],
  ['final', finalFrame('msgpack'), (bytes) => decodeFrame(bytes, 'msgpack')],
  ['sentinel', Buffer.concat([opening, encodeTwoPart({ header: sentinel })]), readAnswer],
  ['stop', Buffer.concat([opening, encodeTwoPart({ header: words.stop })]), readAnswer],
  ['control message', control, decodeControl],
  ['msgpack', codecs.msgpack.encode(payload), codecs.msgpack.decode],
  ['JSON', codecs.json.encode(payload), codecs.json.decode],
  ['error object', Buffer.from(JSON.stringify({ error_type: { Backend: 'Unknown' }, caused_by: { class: 'Internal' } })), decodeErrorText],
  ['discovery record', Buffer.from(record), (bytes) => decodeInstance(recordOf(bytes))],
];

function decodeErrorText(bytes: Buffer): unknown {
  return decodeError(codecs.json.decode(bytes));
}
function recordOf(bytes: Buffer): { bucket: 'v1/instances'; key: string; value: string } {
  return { bucket: 'v1/instances', key: 'k', value: bytes.toString() };
}

function survives(decode: (bytes: Buffer) => unknown, bytes: Buffer): void {
  try {
    decode(bytes);
  } catch (error) {
    if (!DynamoError.is(error)) throw error;
  }
}

test.each(decoders)('%s: good as it is, and typed wherever it is cut', (_name, sample, decode) => {
  const bytes = Buffer.from(sample);
  expect(() => decode(bytes)).not.toThrow();
  for (let length = 0; length < bytes.length; length++) survives(decode, bytes.subarray(0, length));
});

test.each(decoders)('%s: typed however it is garbled', (_name, sample, decode) => {
  fc.assert(
    fc.property(garbledBytes(sample), (bytes) => survives(decode, bytes)),
    { numRuns: 400, seed: 20261125 },
  );
});

test.each(decoders)('%s: typed for bytes that were never a frame', (_name, _sample, decode) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => survives(decode, Buffer.from(bytes))),
    { numRuns: 400, seed: 20261125 },
  );
});
