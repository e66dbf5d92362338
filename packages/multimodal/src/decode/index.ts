import { DynamoError } from '@dynamo/runtime';
import { mediaError } from '../fetch/url-policy.ts';
import type { ImageDecoder, ImageFormat, ImageHead, Pixels } from './decoder.ts';
import { decodeGif } from './gif.ts';
import { readHead, sniffImage } from './head.ts';
import { decodeByLibrary } from './library.ts';
import type { DecodeRules } from './rules.ts';

/** Who decodes each format. The library has no GIF. */
const decoders: Readonly<Record<ImageFormat, ImageDecoder>> = {
  png: decodeByLibrary,
  jpeg: decodeByLibrary,
  webp: decodeByLibrary,
  bmp: decodeByLibrary,
  tiff: decodeByLibrary,
  gif: decodeGif,
};

/**
 * Turns an image of any known format into 8-bit pixels. Its head is held against the limits before anything is decoded.
 *
 * @throws DynamoError `unsupported_media` for bytes of no known format, `payload_too_large` over a limit, `invalid_argument` for
 * an image that is damaged.
 */
export async function decodeImage(bytes: Uint8Array, rules: DecodeRules): Promise<Pixels & { format: ImageFormat }> {
  if (sniffImage(bytes) === undefined) throw mediaError('decode', 'The data are not an image of a supported format', { code: 'unsupported_media' });
  const head = readHead(bytes);
  if (head === undefined) throw mediaError('decode', 'The image cannot be decoded: its head is damaged');
  checkLimits(head, rules);
  try {
    return { format: head.format, ...(await decoders[head.format](bytes, head, rules)) };
  } catch (error) {
    if (DynamoError.is(error)) throw error;
    throw mediaError('decode', `The image cannot be decoded: ${(error as Error).message}`, { cause: error });
  }
}

function checkLimits(head: ImageHead, rules: DecodeRules): void {
  const pixels = head.width * head.height;
  const checks: readonly (readonly [string, number, number | null])[] = [
    ['width', head.width, rules.maxWidth],
    ['height', head.height, rules.maxHeight],
    ['pixels', pixels, rules.maxPixels],
    ['bytes', pixels * head.pixelBytes, rules.maxAllocBytes],
  ];
  for (const [what, value, limit] of checks) {
    if (limit !== null && value > limit) {
      throw mediaError('decode', `The image's dimensions exceed the limit: ${what} ${value}, limit ${limit}`, { code: 'payload_too_large' });
    }
  }
}
