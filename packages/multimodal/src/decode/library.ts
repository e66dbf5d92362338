import { toEightBits } from './depth.ts';
import type { ColorType, ImageDecoder } from './decoder.ts';

/** The library's color types, by their numbers, with the bytes of one sample; floating-point ones are left out. */
const colorTypes: readonly { readonly colorType: ColorType; readonly channels: number; readonly sampleBytes: 1 | 2 }[] = [
  { colorType: 'L8', channels: 1, sampleBytes: 1 },
  { colorType: 'La8', channels: 2, sampleBytes: 1 },
  { colorType: 'Rgb8', channels: 3, sampleBytes: 1 },
  { colorType: 'Rgba8', channels: 4, sampleBytes: 1 },
  { colorType: 'L8', channels: 1, sampleBytes: 2 },
  { colorType: 'La8', channels: 2, sampleBytes: 2 },
  { colorType: 'Rgb8', channels: 3, sampleBytes: 2 },
  { colorType: 'Rgba8', channels: 4, sampleBytes: 2 },
];

/** Decodes with `@napi-rs/image`, in a thread of the pool. It builds on the decoders of 1.6.1, so that pixels agree, of JPEG too. */
export const decodeByLibrary: ImageDecoder = async (bytes, head) => {
  const { Transformer } = await import('@napi-rs/image');
  const image = new Transformer(bytes);
  const pixels = await image.rawPixels();
  const { width, height, colorType } = await image.metadata();
  const layout = colorTypes[colorType];
  if (layout === undefined) throw new Error('its colors are of a kind that is not supported');
  if (width !== head.width || height !== head.height) throw new Error('it is of another size than its head says');
  if (pixels.byteLength !== width * height * layout.channels * layout.sampleBytes) throw new Error('it has too few pixels');
  return { width, height, colorType: layout.colorType, bytes: layout.sampleBytes === 1 ? pixels : toEightBits(pixels) };
};
