import { readFileSync } from 'node:fs';
import { decodeMsgpack, encodeMsgpack } from '@dynamo/runtime/internal';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodeEngineOutput, encodeEngineOutput, finishWords } from './engine-output.ts';
import { readTokenFrame, toTokenChunk } from './token-frame.ts';

const { streams } = JSON.parse(readFileSync(new URL('../../../../vectors/runtime/tcp-mocker-responses.json', import.meta.url), 'utf8')) as {
  streams: string[][];
};

/** Bodies of the captured frames that have no header: items and finals. */
const bodies: Buffer[] = streams.flatMap((segments) => {
  const bytes = Buffer.from(segments.filter((segment) => /^[0-9a-f]+$/.test(segment)).join(''), 'hex');
  const found: Buffer[] = [];
  for (let at = 0; at < bytes.length;) {
    const header = Number(bytes.readBigUInt64BE(at));
    const body = Number(bytes.readBigUInt64BE(at + 8));
    if (body > 0) found.push(bytes.subarray(at + 24 + header, at + 24 + header + body));
    at += 24 + header + body;
  }
  return found;
});

const readAll = (bytes: Uint8Array): unknown => readTokenFrame(bytes, 0, bytes.length);
const generally = (bytes: Uint8Array): any => decodeMsgpack(bytes);
const frame = (item: unknown): Uint8Array => encodeMsgpack({ data: { data: item }, complete_final: false });

test('captured frames: both readers say the same, and the fast one takes most', () => {
  let fast = 0;
  for (const body of bodies) {
    const read = readAll(body);
    const wire = generally(body);
    if (read === undefined) expect(wire.complete_final || wire.data.data.completion_usage !== undefined).toBe(true);
    else {
      fast++;
      expect(wire.complete_final).toBe(false);
      expect({ ...read }).toStrictEqual(decodeEngineOutput(wire.data.data));
    }
  }
  expect(bodies.length).toBeGreaterThan(20);
  expect(fast).toBeGreaterThanOrEqual(bodies.length - 2 * streams.length - 2);
});

test('a captured frame cut anywhere, or with one byte more, is left to the general decoder', () => {
  const body = bodies.find((found) => readAll(found) !== undefined)!;
  const twice = Buffer.concat([body, body]);
  for (let length = 0; length < body.length; length++) {
    expect(readAll(body.subarray(0, length))).toBeUndefined();
    // The next frame's bytes lie behind the end.
    expect(readTokenFrame(twice, 0, length)).toBeUndefined();
    expect(readTokenFrame(twice, 0, body.length + length + 1)).toBeUndefined();
  }
  expect({ ...readTokenFrame(twice, body.length, 2 * body.length) }).toEqual({ ...(readAll(body) as object) });
});

const members = fc.record(
  {
    token_ids: fc.array(fc.oneof(fc.nat(300), fc.nat(70_000), fc.nat(0xffff_ffff)), { maxLength: 17 }),
    finish_reason: fc.constantFrom(null, ...finishWords, 'error', 'error: x', 'bogus'),
    index: fc.oneof(fc.constant(null), fc.nat(200)),
    output_type: fc.constantFrom(null, 'text', 'texx', 'image'),
    text: fc.constantFrom(null, '', 'a'),
    tokens: fc.constantFrom(null, ['a']),
    // Keys of the lengths that the reader looks at.
    log_probs: fc.constantFrom(null, [-0.5]),
    worker_name: fc.constantFrom(null, 'text'),
    finish_season: fc.constantFrom(null, 'stop'),
    stage: fc.constantFrom(null, 1),
  },
  { requiredKeys: [] },
);

test('made-up frames: the fast reader agrees with the general one or gives up', () => {
  let fast = 0;
  fc.assert(
    fc.property(members, fc.integer(), (item, order) => {
      const entries = Object.entries(item);
      const turned = entries.length === 0 ? item : Object.fromEntries(entries.map((_entry, at) => entries.at((at + order) % entries.length)!));
      const read = readAll(frame(turned));
      if (read === undefined) return;
      fast++;
      expect({ ...read }).toStrictEqual(decodeEngineOutput(turned));
    }),
    { numRuns: 3000, seed: 1 },
  );
  expect(fast).toBeGreaterThan(10);
});

test('frames with flipped bytes: what the fast reader takes, the general one reads alike', () => {
  const body = frame({ token_ids: [5, 200, 3000, 100_000], finish_reason: 'stop', index: 1, output_type: 'text', text: null });
  expect(readAll(body)).toBeDefined();
  fc.assert(
    fc.property(fc.nat(body.length - 1), fc.nat(255), (at, byte) => {
      const changed = Buffer.from(body);
      changed[at] = byte;
      const read = readAll(changed);
      if (read !== undefined) expect({ ...read }).toStrictEqual(decodeEngineOutput(generally(changed).data.data));
    }),
    { numRuns: 5000, seed: 2 },
  );
});

test.each([
  [{ token_ids: [7] }, true],
  [{ token_ids: [0, 127, 128, 255, 256, 65_535, 65_536, 0xffff_ffff] }, true],
  [{ token_ids: Array.from({ length: 15 }, (_, at) => at) }, true],
  [{ token_ids: [], finish_reason: 'content_filter' }, true],
  [{ finish_reason: 'stop', token_ids: [1], index: 3 }, true],
  [{ token_ids: Array.from({ length: 16 }, (_, at) => at) }, false],
  [{ token_ids: [-1] }, false],
  [{ token_ids: [2 ** 33] }, false],
  [{ token_ids: null }, false],
  [{ token_ids: [1], text: 'a' }, false],
  [{ token_ids: [1], finish_reason: 'error' }, false],
  [{ finish_reason: 'stop' }, false],
])('%j: taken %s', (item, taken) => {
  const read = readAll(frame(item));
  expect(read !== undefined).toBe(taken);
  if (read !== undefined) expect({ ...read }).toStrictEqual(decodeEngineOutput(item));
});

test('an annotated item is left to the general decoder', () => {
  expect(readAll(encodeMsgpack({ data: { data: { token_ids: [1] }, event: null }, complete_final: false }))).toBeUndefined();
  expect(readAll(encodeMsgpack({ data: { data: { token_ids: [1] } }, complete_final: true }))).toBeUndefined();
});

test('the ids are no view of the read buffer', () => {
  const bytes = Buffer.from(frame({ token_ids: [7, 3000] }));
  const read = toTokenChunk(readAll(bytes));
  bytes.fill(0);
  expect(read.tokenIds).toEqual([7, 3000]);
});

test('items of both readers become chunks', () => {
  const made = readAll(frame({ token_ids: [7], finish_reason: 'eos' }));
  expect(toTokenChunk(made)).toBe(made);
  expect(toTokenChunk({ token_ids: [7], finish_reason: 'eos' })).toEqual({ tokenIds: [7], finishReason: 'eos' });
  expect(JSON.parse(JSON.stringify(encodeEngineOutput(toTokenChunk(made))))).toEqual({ token_ids: [7], finish_reason: 'eos' });
  expect(() => toTokenChunk({})).toThrow('token_ids');
});
