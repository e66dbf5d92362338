import fc from 'fast-check';

interface Edit {
  readonly at: number;
  readonly how: 'set' | 'drop' | 'insert' | 'swap';
  readonly byte: number;
  readonly run: number;
}

/** Changes, drops, turns and adds bytes; those at the edge of a range or of a format come more often than by chance. */
const edits: fc.Arbitrary<Edit[]> = fc.array(
  fc.record({
    at: fc.double({ min: 0, max: 1, noNaN: true }),
    how: fc.constantFrom('set', 'drop', 'insert', 'swap'),
    byte: fc.oneof(fc.constantFrom(0, 1, 0x7f, 0x80, 0xc1, 0xd9, 0xdc, 0xde, 0xff), fc.integer({ min: 0, max: 255 })),
    run: fc.integer({ min: 1, max: 9 }),
  }),
  { minLength: 1, maxLength: 6 },
);

/** What becomes of good bytes on a bad day. */
export const garbledBytes = (sample: Uint8Array): fc.Arbitrary<Buffer> => edits.map((changes) => garble(sample, changes));

function garble(sample: Uint8Array, changes: readonly Edit[]): Buffer {
  let bytes = Buffer.from(sample);
  for (const { at, how, byte, run } of changes) {
    const start = Math.floor(at * bytes.length);
    const end = how === 'insert' ? start : start + run;
    const patch = how === 'swap' ? bytes.subarray(start, end).toReversed() : Buffer.alloc(how === 'drop' ? 0 : run, byte);
    bytes = Buffer.concat([bytes.subarray(0, start), patch, bytes.subarray(end)]);
  }
  return bytes;
}
