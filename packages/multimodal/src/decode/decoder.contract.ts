import { describe, expect, test } from 'vitest';
import { DynamoError } from '@dynamo/runtime';
import type { ImageFormat } from './decoder.ts';
import { decodeImage } from './index.ts';
import { decodeRules } from './rules.ts';

/** An image for the contract, with where its head keeps its width. */
export interface Sample {
  readonly format: ImageFormat;
  readonly bytes: Uint8Array;
  /** Makes the head claim that it is so wide. */
  readonly claim: (bytes: Uint8Array, width: number) => void;
}

/** Numbers from a seed. */
function* numbers(seed: number): Generator<number, never> {
  for (let state = seed; ;) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    yield state >>> 8;
  }
}

/** Pixels of the size their shape says, or a typed error: nothing else may come of any bytes. */
async function outcome(bytes: Uint8Array): Promise<string> {
  try {
    const image = await decodeImage(bytes, decodeRules({ maxAllocBytes: 200_000 }));
    const channels = { L8: 1, La8: 2, Rgb8: 3, Rgba8: 4 }[image.colorType];
    expect(image.bytes.byteLength).toBe(image.width * image.height * channels);
    return 'pixels';
  } catch (error) {
    if (!DynamoError.is(error)) throw error;
    expect(error.data['step']).toBe('decode');
    return error.code;
  }
}

/** What every image decoder must do with images that aren't whole. */
export function decoderContract(sample: Sample): void {
  describe(`decoder of ${sample.format}`, () => {
    test('an image that is cut off anywhere is an error, or whole for a format that can be seen in part', async () => {
      for (let size = 0; size < sample.bytes.byteLength; size++) {
        const found = await outcome(sample.bytes.slice(0, size));
        if (size < 16) expect(found).not.toBe('pixels');
      }
      expect(await outcome(sample.bytes)).toBe('pixels');
    });

    test('an image beyond a limit is refused by its head', async () => {
      const { width } = await decodeImage(sample.bytes, decodeRules());
      for (const limit of [{ maxWidth: width - 1 }, { maxHeight: 0 }, { maxPixels: 1 }, { maxAllocBytes: 2 }]) {
        await expect(decodeImage(sample.bytes, decodeRules(limit))).rejects.toMatchObject({ code: 'payload_too_large' });
      }
    });

    test('a head that lies gets no more than it may claim', async () => {
      for (const width of [1, 40, 16_000]) {
        const bytes = sample.bytes.slice();
        sample.claim(bytes, width);
        const found = await outcome(bytes);
        // JPEG fills what is missing and GIF has a canvas of its own: then as wide as claimed, and never past the limit.
        if (width === 16_000) expect(found).not.toBe('pixels');
      }
    });

    test('500 damaged images crash nothing', async () => {
      const random = numbers(sample.bytes.byteLength);
      const next = (below: number): number => random.next().value % below;
      const found = new Map<string, number>();
      for (let round = 0; round < 500; round++) {
        const bytes = sample.bytes.slice();
        for (let change = next(8); change >= 0; change--) bytes[next(bytes.length)] = next(256);
        const result = await outcome(bytes);
        found.set(result, (found.get(result) ?? 0) + 1);
      }
      expect([...found.values()].reduce((sum, count) => sum + count)).toBe(500);
      expect(found.size).toBeGreaterThan(1);
    });
  });
}
