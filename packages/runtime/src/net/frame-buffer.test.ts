import fc from 'fast-check';
import { expect, test } from 'vitest';
import { FrameBuffer } from './frame-buffer.ts';
import { release } from './release.ts';

/** Reads frames of one length byte and so many bytes, the way the planes do. */
function feed(buffer: FrameBuffer, chunk: Buffer): string[] {
  const frames: string[] = [];
  const bytes = buffer.add(chunk);
  let at = 0;
  while (at < bytes.length && at + 1 + bytes[at]! <= bytes.length) {
    frames.push(bytes.toString('latin1', at + 1, at + 1 + bytes[at]!));
    at += 1 + bytes[at]!;
  }
  buffer.keep(bytes, at);
  return frames;
}

test('frames come out whole, however the bytes were cut', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 255 })), fc.array(fc.integer({ min: 1, max: 300 })), (frames, cuts) => {
      const stream = Buffer.concat(frames.map((frame) => Buffer.from([frame.length, ...frame])));
      const buffer = new FrameBuffer();
      const read: string[] = [];
      let at = 0;
      for (let turn = 0; at < stream.length; turn++) {
        const next = at + (cuts[turn % Math.max(1, cuts.length)] ?? 7);
        // Each read has memory of its own that is overwritten afterwards: nothing may go on looking at it.
        const chunk = Buffer.from(stream.subarray(at, next));
        read.push(...feed(buffer, chunk));
        chunk.fill(0xee);
        at = next;
      }
      expect(read).toEqual(frames.map((frame) => Buffer.from(frame).toString('latin1')));
      expect(buffer.pending).toBe(false);
    }),
  );
});

test('the memory of a large frame goes with it, though the next frame has begun', () => {
  const buffer = new FrameBuffer();
  const large = Buffer.alloc(8 << 20);
  buffer.keep(buffer.add(large), 0);
  const bytes = buffer.add(Buffer.from('rest'));
  expect(buffer.capacity).toBeGreaterThanOrEqual(8 << 20);
  buffer.keep(bytes, 8 << 20);
  expect(buffer.capacity).toBeLessThanOrEqual(65_536);
  expect(buffer.add(Buffer.from('!')).toString()).toBe('rest!');
});

test('a read that ends with a whole frame is not held', () => {
  const buffer = new FrameBuffer();
  const chunk = Buffer.alloc(1 << 20);
  expect(buffer.add(chunk)).toBe(chunk);
  buffer.keep(chunk, chunk.length);
  expect(buffer.capacity).toBe(0);
});

test('what was taken for good stays as it was, however the bytes were cut and whatever follows', () => {
  const frame = fc.tuple(fc.constantFrom(0, 5, 3_000, 40_000, 70_000, 200_000), fc.integer({ min: 0, max: 255 }));
  fc.assert(
    fc.property(
      fc.array(frame, { maxLength: 12 }),
      fc.array(fc.integer({ min: 1, max: 90_000 }), { minLength: 1 }),
      fc.boolean(),
      (frames, cuts, told) => {
        const stream = Buffer.concat(
          frames.flatMap(([length, fill]) => {
            const head = Buffer.alloc(4);
            head.writeUInt32BE(length);
            return [head, Buffer.alloc(length, fill)];
          }),
        );
        const buffer = new FrameBuffer();
        const taken: Buffer[] = [];
        const parts: Buffer[] = [];
        let from = 0;
        for (let turn = 0; from < stream.length; turn++) {
          const next = from + (cuts[turn % cuts.length] ?? 1);
          const bytes = buffer.add(Buffer.from(stream.subarray(from, next)));
          let at = 0;
          const wanted = (): number => (bytes.length - at < 4 ? 0 : 4 + bytes.readUInt32BE(at));
          for (let end = at + wanted(); end > at && end <= bytes.length; end = at + wanted()) {
            taken.push(buffer.own(bytes, bytes.subarray(at + 4, end)));
            at = end;
          }
          buffer.keep(bytes, at, told ? wanted() : 0);
          from = next;
        }
        // Those that were not released are as they were when they were taken.
        expect(parts.every((part, index) => part.length === 0 || part.equals(taken[index] ?? part))).toBe(true);
        expect(taken.map((part) => part.length)).toEqual(frames.map(([length]) => length));
        expect(taken.every((part, index) => part.every((byte) => byte === frames[index]?.[1]))).toBe(true);
      },
    ),
    { numRuns: 60 },
  );
});

test('a peer that only promises much gets little reserved', () => {
  const buffer = new FrameBuffer();
  buffer.keep(buffer.add(Buffer.alloc(10)), 0, 1 << 30);
  buffer.keep(buffer.add(Buffer.alloc(100_000)), 0, 1 << 30);
  expect(buffer.capacity).toBeLessThanOrEqual(2 << 20);
});
