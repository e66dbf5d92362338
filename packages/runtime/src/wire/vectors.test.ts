import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { decodeFrame, encodeErrorItem, encodeItem, finalFrame } from './annotated.ts';
import { type CodecName, codecs } from './codec.ts';
import { decodeControl, decodeHandshake, decodePrologue, encodeControl, encodeHandshake, encodePrologue, sentinel } from './control.ts';
import { decodeInstance, decodeModel, encodeInstance, encodeModel, instanceKey } from './discovery-record.ts';
import { decodeError, encodeError } from './error-envelope.ts';
import { decodeJson } from './json.ts';
import { decodeMsgpack, encodeMsgpack } from './msgpack.ts';
import { encodeRequestFrame, spanRequestFrame } from './request-frame.ts';
import { decodeTwoPart, encodeTwoPart, spanTwoPart } from './two-part.ts';

const text = (name: string): string => readFileSync(new URL(`../../../../vectors/runtime/${name}`, import.meta.url), 'utf8');
const json = (name: string): any => JSON.parse(text(name));
const limit = 32 * 1024 * 1024;

const requestFrames: Buffer[] = json('tcp-frontend-to-mocker.json').frames_hex.map((hex: string) => Buffer.from(hex, 'hex'));

test.each(requestFrames.map((frame, index) => [index, frame] as const))('request frame %i: read, written again byte by byte', (index, frame) => {
  const span = spanRequestFrame(frame, 0, limit)!;
  const expected = json('tcp-frontend-to-mocker.decoded.json')[index];
  expect(span.end).toBe(frame.length);
  expect(span.path.toString()).toBe(expected.path);
  const headers = JSON.parse(span.headers.toString());
  expect(headers).toEqual(expected.headers);
  expect(Buffer.from(encodeRequestFrame({ path: expected.path, headers, payload: span.payload }, limit))).toEqual(frame);
  const { header, body } = decodeTwoPart(span.payload);
  const control = decodeControl(header);
  expect(
    JSON.parse(
      Buffer.from(encodeControl({ id: control.id, codec: control.codec, metadata: control.metadata, response: control.response })).toString(),
    ),
  ).toEqual(expected.control);
  expect(JSON.parse(JSON.stringify(decodeMsgpack(body)))).toEqual(expected.body);
  expect(Buffer.from(encodeTwoPart({ header, body }))).toEqual(span.payload);
  expect(Buffer.from(encodeMsgpack(decodeMsgpack(body)))).toEqual(Buffer.from(body));
});

test('a request frame cut anywhere is incomplete, never an error', () => {
  const frame = requestFrames[0]!;
  for (let length = 0; length < frame.length; length++) expect(spanRequestFrame(frame.subarray(0, length), 0, limit)).toBeUndefined();
});

test('a request frame that claims 4 GiB is refused by its lengths alone', () => {
  const frame = Buffer.from('0001610002' + '7b7d' + 'ffffffff', 'hex');
  expect(() => spanRequestFrame(frame, 0, limit)).toThrow(/4294967306 bytes passes the limit of 33554432/);
});

test('a two-part message that claims 2^60 bytes is refused by its lengths alone', () => {
  expect(() => spanTwoPart(Buffer.from('1000000000000000' + '00'.repeat(16), 'hex'), 0, limit)).toThrow(/passes the limit/);
});

const responses: string[] = json('tcp-mocker-responses.json').streams.map((segments: string[]) =>
  segments.filter((segment) => /^[0-9a-f]+$/.test(segment)).join(''),
);

test.each(responses.map((stream, index) => [index, stream] as const))('response stream %i: every frame', (index, stream) => {
  const bytes = Buffer.from(stream, 'hex');
  const frames: any[] = [];
  for (let at = 0; at < bytes.length;) {
    const span = spanTwoPart(bytes, at, limit)!;
    const header = bytes.subarray(span.headerStart, span.bodyStart);
    const body = bytes.subarray(span.bodyStart, span.end);
    frames.push(body.length === 0 ? { header: JSON.parse(header.toString()) } : { body: decodeMsgpack(body) });
    if (body.length > 0) expect(Buffer.from(encodeMsgpack(decodeMsgpack(body)))).toEqual(body);
    if (body.length > 0)
      expect(decodeFrame(body, 'msgpack').kind).toBe('complete_final' in frames.at(-1).body && frames.at(-1).body.complete_final ? 'final' : 'item');
    at = span.end;
  }
  expect(frames).toEqual(json('tcp-mocker-responses.decoded.json')[index]);
  expect(decodeHandshake(Buffer.from(JSON.stringify(frames[0].header)))).toBe(frames[0].header.subject);
  expect(decodePrologue(Buffer.from(JSON.stringify(frames[1].header)))).toBeNull();
});

test('a whole worker answer is written as the real worker writes it', () => {
  const worker = json('tcp-call-count3.json')
    .segments.filter((segment: any) => segment.hex && segment.to === 43003)
    .map((segment: any) => segment.hex)
    .join('');
  const captured = Buffer.from(worker, 'hex');
  const subject = decodeHandshake(captured.subarray(24, 24 + captured.readUInt32BE(4)));
  const ours = Buffer.concat([
    encodeTwoPart({ header: encodeHandshake(subject) }),
    encodeTwoPart({ header: encodePrologue(null) }),
    ...[0, 1, 2].map((i) => encodeTwoPart({ body: encodeItem({ i }, 'msgpack') })),
    encodeTwoPart({ body: finalFrame('msgpack') }),
    encodeTwoPart({ header: sentinel }),
  ]);
  expect(ours.toString('hex')).toBe(captured.toString('hex'));
});

interface ErrorCase {
  name: string;
  frames: string[];
}
const errorCases: ErrorCase[] = [
  ...json('error-envelopes.json'),
  ...json('error-envelopes-2.json').map(({ request, items }: any) => ({
    name: `${request.exc} ${request.code ?? ''}`,
    frames: items.map((item: unknown) => JSON.stringify({ data: item, complete_final: false })),
  })),
].filter((row: ErrorCase) => row.frames?.some((frame) => frame.includes('"error"')));

test.each(errorCases.map((row) => [row.name, row] as const))('error row %s: read and written again', (_name, row) => {
  for (const frame of row.frames) {
    const wire = JSON.parse(frame);
    if (wire.data?.error === undefined || wire.data.error === null) continue;
    const decoded = decodeFrame(Buffer.from(frame), 'json');
    if (decoded.kind !== 'error') throw new Error(`read as ${decoded.kind}`);
    expect(decoded.error.message).toBe(wire.data.error.diagnostic);
    expect(encodeError(decoded.error)).toEqual(wire.data.error);
    expect(JSON.parse(Buffer.from(encodeErrorItem(decoded.error, 'json')).toString())).toEqual({
      data: { event: 'error', error: wire.data.error },
      complete_final: false,
    });
  }
});

test('errors of unknown shape are told as unknown, with what text there is', () => {
  expect(decodeError({ message: 'x' })).toMatchObject({ code: 'unknown', message: 'x' });
  expect(decodeError({ error_type: { Backend: 'Nope' }, message: 'y' })).toMatchObject({ code: 'unknown', message: 'y' });
  expect(decodeError({ class: 'Unavailable', reason: 'request.invalid', message: 'z' })).toMatchObject({ code: 'unknown' });
  expect(decodeError(7)).toMatchObject({ code: 'unknown', message: '7' });
  expect(decodeFrame(Buffer.from('{"data":{"event":"error","comment":["a","b"]},"complete_final":false}'), 'json')).toMatchObject({
    error: { message: 'a, b' },
  });
  expect(decodeFrame(Buffer.from('{"data":7,"complete_final":false}'), 'json')).toMatchObject({ kind: 'error', error: { code: 'backend_protocol' } });
});

test.each(
  text('records/file-discovery-mocker.jsonl')
    .trim()
    .split('\n')
    .map((line) => [line.slice(0, 60), line] as const),
)('discovery record %s', (_name, line) => {
  const row = JSON.parse(line) as { bucket: string; key: string; value_text: string };
  const value = row.value_text;
  const record = { bucket: row.bucket as 'v1/instances', key: row.key.replace(`${row.bucket}/`, ''), value };
  if (record.bucket === 'v1/instances') {
    const instance = decodeInstance(record)!;
    expect(record.key.endsWith(instance.id.toString(16))).toBe(true);
    expect(encodeInstance(instance)).toEqual(record);
  } else if ((record.bucket as string) === 'v1/mdc') {
    const model = decodeModel(record)!;
    expect(instanceKey(model)).toBe(record.key);
    expect(encodeModel(model).value).toBe(value);
  } else expect(decodeJson(value)).toBeTypeOf('object');
});

test('msgpack keeps every integer exact and smallest, floats floats', () => {
  const values: [unknown, string][] = [
    [127, '7f'],
    [128, 'cc80'],
    [256, 'cd0100'],
    [65536, 'ce00010000'],
    [4294967296, 'cf0000000100000000'],
    [-1, 'ff'],
    [-33, 'd0df'],
    [-129, 'd1ff7f'],
    [-32769, 'd2ffff7fff'],
    [-2147483649, 'd3ffffffff7fffffff'],
    [11684015588889706191n, 'cfa2260f7d68d7a2cf'.slice(0, 2) + 11684015588889706191n.toString(16)],
    [1.5, 'cb3ff8000000000000'],
  ];
  for (const [value, hex] of values) {
    expect(Buffer.from(encodeMsgpack(value)).toString('hex')).toBe(hex);
    expect(decodeMsgpack(Buffer.from(hex, 'hex'))).toBe(value);
  }
  expect(() => encodeMsgpack(1n << 64n)).toThrow(/does not fit in 64 bits/);
});

test.each(['json', 'msgpack'] as CodecName[])('%s: a cut or garbled payload is a typed error', (name) => {
  const bytes = codecs[name].encode({ a: [1, 'two', { three: 3.5 }], id: 18446744073709551615n });
  expect(codecs[name].decode(bytes)).toEqual({ a: [1, 'two', { three: 3.5 }], id: 18446744073709551615n });
  for (let length = 0; length < bytes.length; length++)
    expect(() => codecs[name].decode(bytes.subarray(0, length))).toThrow(expect.objectContaining({ code: 'backend_protocol' }));
  expect(() => decodeMsgpack(Buffer.from('dfffffffff', 'hex'))).toThrow(expect.objectContaining({ code: 'backend_protocol' }));
  expect(() => decodeMsgpack(Buffer.from('91'.repeat(1000) + 'c0', 'hex'))).toThrow(/nesting is deeper/);
});
