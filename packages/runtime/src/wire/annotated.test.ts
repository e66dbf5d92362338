import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { decodeFrame, encodeErrorItem, encodeItem, finalFrame } from './annotated.ts';
import { spanTwoPart } from './two-part.ts';

const json = (name: string): any => JSON.parse(readFileSync(new URL(`../../../../vectors/runtime/${name}`, import.meta.url), 'utf8'));
const read = (frame: string): ReturnType<typeof decodeFrame> => decodeFrame(Buffer.from(frame), 'json');

const rows: { name: string; frames: string[] }[] = json('error-envelopes.json').filter((row: any) => row.name.startsWith('annot:'));

test.each(rows.map((row) => [row.name, row] as const))('%s: every frame is read and written as the real worker writes it', (_name, row) => {
  expect(row.frames.length).toBeGreaterThan(0);
  for (const text of row.frames) {
    const frame = read(text);
    if (frame.kind === 'final') expect(Buffer.from(finalFrame('json')).toString()).toBe(text);
    else if (frame.kind === 'item') expect(Buffer.from(encodeItem(frame.data, 'json')).toString()).toBe(text);
    else throw new Error(`${text} was read as ${frame.kind}`);
  }
});

test('an item and then a failure, as they were captured', () => {
  const segments: { to: number; hex?: string }[] = json('tcp-call-error.json').segments;
  const home = segments.find(({ hex }) => hex !== undefined && Buffer.from(hex, 'hex').includes('"stream_type"'))!.to;
  const bytes = Buffer.from(segments.map(({ to, hex }) => (to === home ? (hex ?? '') : '')).join(''), 'hex');
  const bodies: Buffer[] = [];
  for (let at = 0; at < bytes.length;) {
    const span = spanTwoPart(bytes, at, 1 << 20)!;
    if (span.end > span.bodyStart) bodies.push(bytes.subarray(span.bodyStart, span.end));
    at = span.end;
  }
  const frames = bodies.map((body) => decodeFrame(body, 'msgpack'));
  expect(frames.map((frame) => frame.kind)).toEqual(['item', 'error', 'final']);
  const written = frames.map((frame) =>
    frame.kind === 'item'
      ? encodeItem(frame.data, 'msgpack')
      : frame.kind === 'error'
        ? encodeErrorItem(frame.error, 'msgpack')
        : finalFrame('msgpack'),
  );
  expect(written.map((body) => Buffer.from(body).toString('hex'))).toEqual(bodies.map((body) => body.toString('hex')));
});

test('events, comments and empty items', () => {
  expect(read('{"data":{"event":"ping","comment":["a"]},"complete_final":false}')).toEqual({ kind: 'event', event: 'ping', comment: ['a'] });
  expect(read('{"data":{"data":null},"complete_final":false}')).toEqual({ kind: 'item', data: null });
  expect(read('{"data":{"event":"error"},"complete_final":false}')).toMatchObject({ kind: 'error', error: { code: 'unknown' } });
});

test.each(['7', 'null', '[]', '{}', '{"data":null}', '{"data":[1]}', '{"data":"x","complete_final":false}', '{"da'])(
  '%s is a protocol error',
  (text) => {
    expect(read(text)).toMatchObject({ kind: 'error', error: { code: 'backend_protocol' } });
  },
);
